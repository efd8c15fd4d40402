/** The Badger protocol (src/common/badger) as the mesh core sees it. */
import { encodeHeartbeat } from "../../../common/badger/heartbeat.js";
import { decodeMap, type MapNode } from "../../../common/badger/map.js";
import { formatEndpoint, parseEndpoint } from "../../../common/endpoint.js";
import type { MapCodec, MapEntry } from "./types.js";

export const badgerCodec: MapCodec = {
  decodeMap(data) {
    const decoded = decodeMap(data);
    if (!decoded.ok) return undefined;
    const { nodes, myIndex } = decoded.value;
    return { entries: nodes.map(toEntry), myIndex: myIndex ?? -1 };
  },
  encodeHeartbeat(virtualIp, privateEndpoint) {
    const own = privateEndpoint === undefined ? undefined : parseEndpoint(privateEndpoint);
    if (own === undefined) return encodeHeartbeat({ virtualIp });
    return encodeHeartbeat({ virtualIp, privateIp: { address: own.address, port: own.port } });
  },
};

function toEntry({ virtualIp, publicIp, privateIp }: MapNode): MapEntry {
  const entry: MapEntry = { virtualIp, publicEndpoint: publicIp };
  if (privateIp === undefined) return entry;
  // Without a port, the one that the server saw is the best guess: many NATs keep it.
  const port = privateIp.port ?? parseEndpoint(publicIp)?.port ?? 0;
  return { ...entry, privateEndpoint: formatEndpoint(privateIp.address, port) };
}
