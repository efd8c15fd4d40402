/** The section of vpnd.toml that runs a gateway. */
import { z } from "zod";
import { about, type KeyAbout } from "../../../common/config/keys.js";
import { absolutePathSchema } from "../../../common/config/values.js";
import { defaultSubnets } from "../gateway/addresses.js";

const live = (text: string): KeyAbout => ({ text, reload: "live" });
const off = (text: string) => z.boolean().default(false).register(about, live(text));
const texts = (preset: readonly string[], text: string) =>
  z
    .array(z.string())
    .default([...preset])
    .register(about, live(text));

export const gatewaySection = z
  .strictObject({
    listen: z
      .union([z.string(), z.int()], { error: 'must be a port, or "ADDRESS:PORT"' })
      .optional()
      .register(about, {
        ...live(
          'Where clients come: "ADDRESS:PORT", or a port. With it the gateway is run as this section says.',
        ),
        example: '"127.0.0.1:8080"',
      }),
    up: z
      .boolean()
      .default(true)
      .register(about, live("false leaves it down until it is started: vpnctl gateway start.")),
    path: z.string().default("/").register(about, live("Path of the URL.")),
    open: off("Serve whoever comes, without a token."),
    subnet: texts(
      defaultSubnets,
      "Addresses for clients, a /30 and a /127 each: one prefix of IPv4, one of IPv6.",
    ),
    max_clients: z
      .int()
      .min(0)
      .default(0)
      .register(about, live("Serve no more at once; 0 is 1000, or as many as the subnets have room for.")),
    keep: z
      .string()
      .default("5m")
      .register(about, live("How long the addresses of a client that is away are kept for it.")),
    workers: z.int().min(1).default(1).register(about, live("Threads for connections; 1 is the main one.")),
    mtu: z.int().min(0).default(1500).register(about, live("MTU of clients' devices, bytes.")),
    dns: texts([], "Resolvers that clients are told of."),
    allow: texts([], "Private or special destinations that clients may reach besides the Internet."),
    into: z
      .string()
      .default("")
      .register(about, live('A network of this vpnd that clients reach, too; "": none.')),
    no_internet: off("Let clients reach nothing but what other keys name."),
    allow_host: off("Let clients reach this machine."),
    allow_clients: off("Let clients reach each other."),
    isolation: z
      .string()
      .default("tun")
      .register(about, live('"tun": a device for each client; "shared": one for all.')),
    any_source: off("Let a client keep an address of its own, one of each family."),
    fanqiang: off("Also serve clients of fanqiang-poc, at any path; implies open."),
    padding: off("Hide the sizes of what is sent to clients."),
    tls_cert: absolutePathSchema.optional().register(about, {
      ...live(
        "Certificate of a gateway that does TLS itself (PEM, with those between it and its authority). Read again when it changes.",
      ),
      example: '"/etc/letsencrypt/live/vpn.example.net/fullchain.pem"',
    }),
    tls_key: absolutePathSchema.optional().register(about, {
      ...live("Its key. Without both the gateway speaks plain HTTP, for a web server in front of it."),
      example: '"/etc/letsencrypt/live/vpn.example.net/privkey.pem"',
    }),
  })
  .prefault({})
  .register(about, {
    text:
      "The WebSocket gateway (docs/gateway.md). With listen it runs as this section says; without, as vpnctl gateway start says, " +
      "and only the two keys of TLS count.",
  });

export type GatewaySection = z.output<typeof gatewaySection>;
