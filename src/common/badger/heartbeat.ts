/** The Badger protocol's heartbeat: what a node tells the server, `{"VirtualIP":"10.0.0.10","PrivateIP":"192.168.10.100:3000"}`. */
import { type PrivateAddress, readPrivateAddress, readVirtualIp, writePrivateAddress } from "./fields.js";
import { type Decoded, malformed, oversize, parseObject } from "./json.js";

export interface Heartbeat {
  /** Canonical. */
  virtualIp: string;
  privateIp?: PrivateAddress;
}

/** Bytes; an honest heartbeat has about 70. */
const maxHeartbeatBytes = 1024;

export function encodeHeartbeat(heartbeat: Heartbeat): Uint8Array {
  const privateIp = heartbeat.privateIp;
  return Buffer.from(
    JSON.stringify({
      VirtualIP: heartbeat.virtualIp,
      ...(privateIp === undefined ? {} : { PrivateIP: writePrivateAddress(privateIp) }),
    }),
  );
}

/** Unknown members are ignored; never throws. */
export function decodeHeartbeat(data: Uint8Array): Decoded<Heartbeat> {
  if (data.length > maxHeartbeatBytes) return oversize;
  const object = parseObject(data);
  if (object === undefined) return malformed;
  const virtualIp = readVirtualIp(object);
  const privateIp = readPrivateAddress(object.PrivateIP);
  if (virtualIp === undefined || privateIp === null) return malformed;
  return { ok: true, value: privateIp === undefined ? { virtualIp } : { virtualIp, privateIp } };
}
