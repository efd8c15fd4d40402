import type { Carrier } from "../core/carrier.js";
import type { Endpoint, EngineIdentity, EngineOptions, MeshEngine } from "../core/engine.js";
import type { PskEpoch } from "../core/keys/psk-ring.js";
import type { NetworkConfig } from "../core/network/config.js";
import type { PacketPort, PacketPortOptions, PortItems } from "../core/packet-port.js";
import type { Learned, NetworkSecrets } from "../io/state/store.js";

/** What networks need of the native addon. */
export interface Platform {
  /** Errors carry the system's code ("EADDRINUSE"). */
  makeSocket(options: {
    family: 4 | 6;
    kind: "udp" | "tcp";
    port: number;
    address?: string;
    shared?: boolean;
  }): { fd: number; port: number };
  closeFd(fd: number): void;
  createMeshEngine(options: EngineOptions): MeshEngine;
  createPacketPort(options: PacketPortOptions): PacketPort;
}

/** What a carrier is made from. */
export interface CarrierInput {
  config: NetworkConfig;
  secrets: NetworkSecrets;
  /** Accepted PSKs, the preferred one first. */
  psks: readonly PskEpoch[];
  learned: Learned;
  /** Makes the engine on the network's device and sockets; of a mesh, to be called once. */
  engine: (identity: EngineIdentity) => MeshEngine;
  /** Looks a server's "HOST:PORT" up; never rejects. Absent: as the system does. */
  resolve?: (server: string) => Promise<Endpoint[]>;
  /** Makes the packet port on the network's device; of other carriers, to be called once. */
  port: (items: PortItems) => PacketPort;
  /**
   * Gives the device addresses, routes and an MTU that somebody else decided; replaces what was given before.
   * Rejects with a VpnError, and then nothing of it is there.
   */
  assign: (assignment: {
    addresses: readonly string[];
    mtu: number;
    routes: readonly string[];
  }) => Promise<void>;
  /** Called with all that is to be kept, at each change. */
  onLearned: (learned: Learned) => void;
}

export type MakeCarrier = (input: CarrierInput) => Carrier;
