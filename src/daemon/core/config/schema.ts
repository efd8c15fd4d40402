import { z } from "zod";
import { about } from "../../../common/config/keys.js";
import {
  absolutePathSchema as absolute,
  endpointSchema,
  logLevelSchema,
} from "../../../common/config/values.js";
import { cryptoChoices, maxThreads } from "../engine.js";
import { gatewaySection } from "./gateway-schema.js";

/** A network that is joined because the config says so. */
const network = z
  .strictObject({
    iex: z.array(z.string()).min(1, { error: "names no rendezvous server" }).optional().register(about, {
      text: 'Rendezvous servers of a mesh, "HOST:PORT" each.',
      reload: "live",
      example: '["iex.example.net:9944"]',
    }),
    vip: z.string().optional().register(about, {
      text: "Virtual IP of this node, with the length of the network's prefix. A gateway gives it itself.",
      reload: "live",
      example: '"10.0.0.10/16"',
    }),
    psk_file: absolute.optional().register(about, {
      text: "File with the PSK of a mesh, or of a network over PostgreSQL whose payloads are encrypted. It must not be readable by others. Made with: vpnctl psk generate --out FILE",
      reload: "live",
      example: '"/etc/vpnd/office.psk"',
    }),
    tcp_listen: z
      .union([z.string(), z.int()], { error: 'must be a port, or "ADDRESS:PORT"' })
      .default("")
      .register(about, {
        text: 'A link over TCP instead of a mesh, which waits here for its other end: a port, or "ADDRESS:PORT".',
        reload: "live",
      }),
    tcp_connect: z.string().default("").register(about, {
      text: 'A link over TCP instead of a mesh, to the end that listens at "HOST:PORT".',
      reload: "live",
    }),
    tap: z.boolean().default(false).register(about, {
      text: "Ethernet frames on a TAP device; of a link.",
      reload: "live",
    }),
    tls_psk_file: z
      .string()
      .regex(/^(\/[^\0]*)?$/, { error: "must be an absolute path" })
      .default("")
      .register(about, {
        text: 'File with the key that encrypts a link, as psk_file; "": not encrypted.',
        reload: "live",
      }),
    gateway: z.string().default("").register(about, {
      text: 'A WebSocket gateway instead of a mesh, "wss://HOST/PATH".',
      reload: "live",
    }),
    token_file: z
      .string()
      .regex(/^(\/[^\0]*)?$/, { error: "must be an absolute path" })
      .default("")
      .register(about, {
        text: 'File with the token that the gateway asks for, as psk_file; "": none.',
        reload: "live",
      }),
    proxy: z.string().default("").register(about, {
      text: 'Proxy that takes CONNECT, by which a gateway is reached: "http://HOST:PORT".',
      reload: "live",
    }),
    routes: z.array(z.string()).default([]).register(about, {
      text: 'Prefixes that go by way of a gateway, for example ["192.0.2.0/24"].',
      reload: "live",
    }),
    fanqiang: z.boolean().default(false).register(about, {
      text: "The gateway is fanqiang-poc, or serves its clients.",
      reload: "live",
    }),
    padding: z.boolean().default(false).register(about, {
      text: "Hide the sizes of what is sent to a gateway.",
      reload: "live",
    }),
    postgres: z.string().default("").register(about, {
      text: 'A network over this database instead: "postgres://USER@HOST/DATABASE" (docs/postgres.md).',
      reload: "live",
    }),
    postgres_password_file: z
      .string()
      .regex(/^(\/[^\0]*)?$/, { error: "must be an absolute path" })
      .default("")
      .register(about, {
        text: 'File with the password of the role in the database, as psk_file; "": none.',
        reload: "live",
      }),
    fast: z.boolean().default(false).register(about, {
      text: "Deliver packets before they are durable; of a network over PostgreSQL.",
      reload: "live",
    }),
    log: z.string().default("").register(about, {
      text: 'Whose payloads are kept, for the owner of the database: "full", "headers" or "sample=N"; "" leaves it as it is there.',
      reload: "live",
    }),
    retention: z.string().default("").register(about, {
      text: 'How long packets are kept, such as "7d"; for the owner; "" leaves it as it is there.',
      reload: "live",
    }),
    max_size: z.string().default("").register(about, {
      text: 'How much room they may have, such as "10GiB"; for the owner; "" leaves it as it is there.',
      reload: "live",
    }),
    badger: z.boolean().default(false).register(about, {
      text: "Speak the Badger protocol with the servers and with Badger's nodes.",
      reload: "live",
    }),
    name: z
      .string()
      .default("")
      .register(about, { text: 'Name of this node; "" is the host\'s name.', reload: "live" }),
    device: z
      .string()
      .default("")
      .register(about, { text: 'TUN device; "" is vpn-NETWORK.', reload: "live" }),
    mtu: z
      .int()
      .min(0)
      .default(0)
      .register(about, { text: "MTU of the device, bytes; 0 leaves it to vpnd.", reload: "live" }),
    listen_port: z
      .int()
      .min(0)
      .max(65_535)
      .default(0)
      .register(about, { text: "UDP port; 0 is a random one that is kept.", reload: "live" }),
    dns: z.boolean().default(true).register(about, {
      text: "Answer names of the network's nodes; false also leaves this machine's resolver alone (docs/dns.md).",
      reload: "live",
    }),
    up: z.boolean().default(true).register(about, {
      text: "false keeps the network, its node key and what it knows of peers, and leaves it down.",
      reload: "live",
    }),
  })
  .register(about, {
    text:
      "A network that is joined at start without being asked. The label takes the place of NETWORK of vpnctl join: " +
      "lower-case letters, digits and hyphens. Without its section the network is left.",
  });

/** All keys of vpnd.toml: the parser, the defaults, the example file and the reload table come from here. */
export const vpndSchema = z.strictObject({
  socket: absolute.default("/run/vpnd/vpnd.sock").register(about, {
    text: "Socket on which vpnctl is answered.",
    reload: "restart",
  }),
  socket_group: z.string().min(1, { error: "is empty" }).optional().register(about, {
    text: "Group whose members may use the socket. Without it: vpnd if there is such a group, otherwise only root.",
    reload: "restart",
    example: '"vpnd"',
  }),
  read_access: z.enum(["group", "all"]).default("group").register(about, {
    text: 'Who may look: "group" as for changes, or "all" users of this machine. Keys are never shown to them.',
    reload: "restart",
  }),
  state_dir: absolute.default("/var/lib/vpnd").register(about, {
    text: "Folder of networks, keys and the journal of changes to the machine.",
    reload: "restart",
  }),
  log: z
    .strictObject({
      level: logLevelSchema.default("info").register(about, {
        text: "trace, debug, info, warn, error or fatal.",
        reload: "live",
      }),
    })
    .prefault({})
    .register(about, { text: "What is written to standard output, a JSON line for each event." }),
  metrics: z
    .strictObject({
      listen: endpointSchema.optional().register(about, {
        text: 'Address of http://ADDR:PORT/metrics, for example "127.0.0.1:9945". Without it: only the Unix socket in the runtime folder.',
        reload: "restart",
        example: '"127.0.0.1:9945"',
      }),
      per_peer: z.boolean().default(true).register(about, {
        text: "Whether each peer has series of its own, labelled with its virtual IP and name; false leaves the sums of each network.",
        reload: "restart",
      }),
    })
    .prefault({})
    .register(about, { text: "Counters for Prometheus." }),
  engine: z
    .strictObject({
      crypto: z
        .enum(cryptoChoices)
        .default("auto")
        .register(about, {
          text:
            'Who protects packets: "ipsec-mb" (fast, needs AES and AVX), "openssl", or "auto": ipsec-mb where it can, ' +
            "otherwise OpenSSL. On a reload, for sessions made afterwards.",
          reload: "live",
        }),
      threads: z
        .union([z.literal("auto"), z.int().min(1).max(maxThreads)], {
          error: `must be "auto" or a number from 1 to ${maxThreads}`,
        })
        .default("auto")
        .register(about, {
          text:
            "Packet threads of a network: 1 for both directions, 2 for one each, 3 to 8 for both directions on a queue of the " +
            'device each. "auto": 1 below 4 processors, 2 below 8, half of them from there on.',
          reload: "restart",
        }),
    })
    .prefault({})
    .register(about, { text: "What moves the packets." }),
  gateway: gatewaySection,
  network: z.record(z.string(), network).default({}),
});

export type VpndFile = z.output<typeof vpndSchema>;
export type NetworkSection = z.output<typeof network>;
