/** Extension headers of IPv6 (RFC 8200 section 4). */

const kinds = { hopByHop: 0, routing: 43, fragment: 44, authentication: 51, destination: 60, mobility: 135 };

export interface ExtensionChain {
  /** Where what follows the chain begins. */
  end: number;
  /** Of what follows. */
  protocol: number;
  /** 0 also without a fragment header: a header of the next protocol may follow. */
  fragmentOffset: number;
}

/** Walks the chain that begins at `at` with a header of kind `first`; undefined: it is cut off. */
export function extensionChain(packet: Buffer, at: number, first: number): ExtensionChain | undefined {
  let kind = first;
  let end = at;
  let fragmentOffset = 0;
  for (;;) {
    const size = sizeOf(kind, packet[end + 1] ?? 0);
    // A later fragment has none but what belongs to each fragment.
    if (size === undefined || fragmentOffset !== 0) return { end, protocol: kind, fragmentOffset };
    if (end + size > packet.length) return undefined;
    if (kind === kinds.fragment) fragmentOffset = packet.readUInt16BE(end + 2) >> 3;
    kind = packet.readUInt8(end);
    end += size;
  }
}

/** Bytes of a header; undefined: its kind is no extension header. */
function sizeOf(kind: number, length: number): number | undefined {
  switch (kind) {
    case kinds.hopByHop:
    case kinds.routing:
    case kinds.destination:
    case kinds.mobility:
      return (length + 1) * 8;
    case kinds.fragment:
      return 8;
    case kinds.authentication:
      return (length + 2) * 4;
    default:
      return undefined;
  }
}
