import type { Logger } from "pino";
import type { MakeCarrier } from "../platform.js";
import { MeshCarrier } from "./mesh-carrier.js";

/** Makes the carrier of a mesh network from what is stored of it. */
export function meshCarriers(log: Logger): MakeCarrier {
  return ({ config, secrets, psks, learned, engine, resolve, onLearned }) =>
    new MeshCarrier({
      network: config.name,
      virtualIp: config.asked.virtualIp,
      iex: config.asked.iex,
      psks,
      badger: config.asked.badger,
      nodeSeed: secrets.nodeSeed,
      nodeName: config.nodeName,
      engine,
      learned,
      onLearned,
      log,
      ...(resolve && { world: { resolve } }),
    });
}
