import type { Logger } from "pino";
import { signingKey } from "../core/keys/ed25519.js";
import { GatewayCarrier } from "./gateway/gateway-carrier.js";
import { meshCarriers } from "./mesh/mesh-carriers.js";
import type { MakeCarrier, Platform } from "./platform.js";
import { PostgresCarrier } from "./postgres/postgres-carrier.js";
import { TcpCarrier } from "./tcp/tcp-carrier.js";

/** Makes the carrier of a network from what is stored of it. */
export function carriers(platform: Pick<Platform, "makeSocket">, log: Logger): MakeCarrier {
  const mesh = meshCarriers(log);
  return (input) => {
    const { config, secrets, psks, port, resolve } = input;
    const { tcp, postgres, gateway, virtualIp } = config.asked;
    if (gateway !== undefined) {
      return new GatewayCarrier({
        network: config.name,
        gateway,
        ...(secrets.password !== undefined && { token: secrets.password }),
        nodeName: config.nodeName,
        mtu: config.mtu,
        learned: input.learned,
        onLearned: input.onLearned,
        assign: input.assign,
        port,
        makeSocket: (options) => platform.makeSocket(options),
        ...(resolve && { resolve }),
        log,
      });
    }
    if (postgres !== undefined) {
      return new PostgresCarrier({
        network: config.name,
        postgres,
        password: secrets.password,
        psks: postgres.encrypted ? psks : [],
        virtualIp,
        nodeName: config.nodeName,
        nodeKey: signingKey(secrets.nodeSeed),
        mtu: config.mtu,
        port,
        makeSocket: (options) => platform.makeSocket(options),
        ...(resolve && { resolve }),
        log,
      });
    }
    if (tcp === undefined) return mesh(input);
    return new TcpCarrier({
      network: config.name,
      tcp,
      virtualIp,
      nodeName: config.nodeName,
      nodeSeed: secrets.nodeSeed,
      mtu: config.mtu,
      psks,
      port,
      makeSocket: (options) => platform.makeSocket(options),
      ...(resolve && { resolve }),
      log,
    });
  };
}
