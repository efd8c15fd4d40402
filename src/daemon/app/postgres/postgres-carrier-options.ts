/** What a network over PostgreSQL is made from, and what of it each of its sessions with the database needs. */
import type { Logger } from "pino";
import { VpnError } from "../../../common/errors.js";
import type { PostgresAddress } from "../../../common/postgres/url.js";
import type { Endpoint } from "../../core/engine.js";
import type { SigningKey } from "../../core/keys/ed25519.js";
import type { PskEpoch } from "../../core/keys/psk-ring.js";
import { parseCidr } from "../../core/network/cidr.js";
import type { PacketPort, PortItems } from "../../core/packet-port.js";
import type { PostgresOptions } from "../../core/postgres/options.js";
import { resolveServer } from "../../io/server-names.js";
import type { MakeTcpSocket } from "../../io/tcp/sockets.js";
import type { SessionOptions } from "./open-session.js";

export interface PostgresCarrierOptions {
  /** Label, for logs; and the network's name in the database, unless the URL has another. */
  network: string;
  postgres: PostgresOptions;
  /** Undefined: none. */
  password: string | undefined;
  /** Of a network whose payloads are encrypted. */
  psks: readonly PskEpoch[];
  /** Own address in CIDR notation, canonical. */
  virtualIp: string;
  nodeName: string;
  nodeKey: SigningKey;
  /** Of the device, bytes. */
  mtu: number;
  /** Makes the port on the network's device; called once, in `start`. */
  port: (items: PortItems) => PacketPort;
  makeSocket: MakeTcpSocket;
  /** Looks "HOST:PORT" up; never rejects. Absent: as the system does. */
  resolve?: (server: string) => Promise<Endpoint[]>;
  log: Logger;
}

/** What no session changes; `takes` knows of the node's own address alone. */
export function sessionBasics(
  options: PostgresCarrierOptions,
  address: PostgresAddress,
): Omit<SessionOptions, "rules" | "psk" | "nodes" | "events"> {
  const { network, postgres, password, virtualIp, nodeName, nodeKey, makeSocket } = options;
  const { resolve = resolveServer } = options;
  const own = parseCidr(virtualIp);
  if (own === undefined) throw new VpnError("internal", `${virtualIp} is no address with prefix length`);
  const ownBytes = Uint8Array.from(own.bytes);
  return {
    connect: { address, password, makeSocket, resolve },
    network: address.network ?? network,
    address: own.address,
    takes: (destination) => Buffer.compare(destination, ownBytes) === 0,
    nodeName,
    nodeKey: nodeKey.publicKey,
    fast: postgres.fast,
  };
}
