/** The columns of `vpnd.packet` in their order, without `at`, which the server sets. The migrations and the codec go by it. */
export const columns = [
  "sender",
  "session",
  "seq",
  "sent",
  "receiver",
  "kind",
  "offload",
  "version",
  "ihl",
  "tos",
  "total_length",
  "identification",
  "flags",
  "fragment_offset",
  "ttl",
  "protocol",
  "header_checksum",
  "options",
  "source",
  "destination",
  "flow_label",
  "extension_headers",
  "source_port",
  "destination_port",
  "tcp_sequence",
  "tcp_acknowledgment",
  "tcp_flags",
  "tcp_window",
  "tcp_urgent",
  "tcp_options",
  "udp_length",
  "icmp_type",
  "icmp_code",
  "checksum",
  "payload",
] as const;

/**
 * What a row is. `packet`: an IP packet. `super`: one that stands for several, with what says how it is split in `offload`.
 * `raw`: what came out of the device and is no packet that its fields would give back; whole in `payload`. `control`: between nodes,
 * no packet.
 */
export const kinds = { packet: 0, super: 1, raw: 2, control: 3 } as const;
