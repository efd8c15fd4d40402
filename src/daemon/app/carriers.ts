import type { Logger } from "pino";
import { meshCarriers } from "./mesh/mesh-carriers.js";
import type { MakeCarrier, Platform } from "./platform.js";
import { TcpCarrier } from "./tcp/tcp-carrier.js";

/** Makes the carrier of a network from what is stored of it. */
export function carriers(platform: Pick<Platform, "makeSocket">, log: Logger): MakeCarrier {
  const mesh = meshCarriers(log);
  return (input) => {
    const { config, psks, port, resolve } = input;
    const { tcp, virtualIp } = config.asked;
    if (tcp === undefined) return mesh(input);
    return new TcpCarrier({
      network: config.name,
      tcp,
      virtualIp,
      nodeName: config.nodeName,
      mtu: config.mtu,
      psks,
      port,
      makeSocket: (options) => platform.makeSocket(options),
      ...(resolve && { resolve }),
      log,
    });
  };
}
