import { VpnError } from "../../../common/errors.js";
import { gatewayToken } from "../../../common/gateway/token.js";
import type { GatewayClientOptions } from "../../../common/gen/vpnd/v1/gateway_client_pb.js";
import type { JoinRequest, NetworkService } from "../../../common/gen/vpnd/v1/network_pb.js";
import type { PostgresOptions } from "../../../common/gen/vpnd/v1/postgres_pb.js";
import type { CallContext, ServiceImpl } from "../../../common/grpc/server.js";
import { splitPassword } from "../../../common/postgres/url.js";
import { signingKey } from "../../core/keys/ed25519.js";
import type { JoinOptions } from "../../core/network/config.js";
import { checkLogPolicy } from "../../core/postgres/options.js";
import type { Network } from "../network.js";
import type { Networks } from "../networks.js";
import { damagedMessage, detailsMessage, networkMessage } from "./convert.js";

/** A server is given this long when the caller does not say, seconds; also the most that it can ask for. */
const defaultTimeout = 15;
const longestTimeout = 600;

export function networkService(networks: Networks): ServiceImpl<(typeof NetworkService)["method"]> {
  const message = (network: Network) => networkMessage(network, networks.declared.originOf(network.name));
  return {
    async join(request, context) {
      const result = await join(networks, request, context);
      return { ...result, network: message(result.network) };
    },
    async leave({ network, dryRun }) {
      const { name, plan } = await networks.leave(network, dryRun);
      return { network: name, plan };
    },
    async up({ network, dryRun }) {
      const result = await networks.up(network, dryRun);
      return { ...result, network: message(result.network) };
    },
    async down({ network, all, dryRun }) {
      const { names, plan } = await networks.down(network, all, dryRun);
      return { networks: names, plan };
    },
    async listNetworks() {
      return { networks: listNetworks(networks) };
    },
    async getNetwork({ network }) {
      const one = networks.get(network);
      const nodeKey = Buffer.from(signingKey(one.secrets.nodeSeed).publicKey).toString("hex");
      return { network: message(one), details: detailsMessage(one, nodeKey) };
    },
  };
}

/** All networks, those whose state is damaged too. */
export function listNetworks(networks: Networks) {
  const usable = networks
    .all()
    .map((network) => networkMessage(network, networks.declared.originOf(network.name)));
  return [...usable, ...networks.damaged().map(damagedMessage)];
}

function join(networks: Networks, request: JoinRequest, context: CallContext) {
  const { psk, password, ...carrier } = carrierOptions(request.carrier);
  const asked = request.timeoutSeconds > 0 ? request.timeoutSeconds : defaultTimeout;
  if (!Number.isFinite(asked)) throw new VpnError("usage", "the time-out is no number of seconds");
  return networks.join(
    {
      options: {
        network: request.network,
        ...carrier,
        device: request.device,
        mtu: request.mtu,
        nodeName: request.name,
        ...(request.noDns && { noDns: true }),
      },
      psk,
      ...(password !== undefined && { password }),
      timeoutMs: Math.min(asked, longestTimeout) * 1000,
      expectPeers: request.expectPeers,
      noWait: request.noWait,
      dryRun: request.dryRun,
    },
    context.signal,
  );
}

type Asked = Pick<
  JoinOptions,
  "iex" | "virtualIp" | "badger" | "listenPort" | "tcp" | "postgres" | "gateway"
> & {
  psk: Uint8Array;
  password?: string;
};

function carrierOptions(carrier: JoinRequest["carrier"]): Asked {
  if (carrier.case === "mesh") {
    const { iex, virtualIp, badger, listenPort, psk } = carrier.value;
    return { iex, virtualIp, badger, listenPort, psk };
  }
  if (carrier.case === "postgres") return postgresOptions(carrier.value);
  if (carrier.case === "gateway") return gatewayOptions(carrier.value);
  if (carrier.case !== "tcp") {
    throw new VpnError("usage", "no carrier that this vpnd knows", { hint: "use --iex HOST:PORT" });
  }
  const { end, virtualIp, tap, tlsPsk: psk } = carrier.value;
  if (end.case === undefined) {
    throw new VpnError("usage", "no end of the link is named", {
      hint: "use --tcp-listen [ADDRESS:]PORT or --tcp-connect HOST:PORT",
    });
  }
  const tcp = { role: end.case, address: end.value, tap, tls: psk.length > 0 };
  return { iex: [], virtualIp, badger: false, listenPort: 0, tcp, psk };
}

function postgresOptions(options: PostgresOptions): Asked {
  const { url, virtualIp, fast, password, psk, retentionSeconds, maxBytes, log } = options;
  const split = splitPassword(url);
  const given = password.length > 0 ? new TextDecoder().decode(password) : split.password;
  return {
    iex: [],
    virtualIp,
    badger: false,
    listenPort: 0,
    psk,
    ...(given !== undefined && { password: given }),
    postgres: {
      url: split.url,
      fast,
      encrypted: psk.length > 0,
      ...(log !== "" && { log: checkLogPolicy(log) }),
      ...(retentionSeconds > 0 && { retentionSeconds }),
      ...(maxBytes > 0n && { maxBytes: Number(maxBytes) }),
    },
  };
}

function gatewayOptions(options: GatewayClientOptions): Asked {
  const { url, token, proxy, routes, fanqiang, padding } = options;
  const password = gatewayToken(token);
  if (fanqiang && password !== "") {
    throw new VpnError("usage", "gateways of fanqiang-poc take no token", { hint: "leave --token-file out" });
  }
  return {
    iex: [],
    virtualIp: "",
    badger: false,
    listenPort: 0,
    psk: new Uint8Array(0),
    ...(password !== "" && { password }),
    gateway: { url, routes, fanqiang, padding, ...(proxy !== "" && { proxy }) },
  };
}
