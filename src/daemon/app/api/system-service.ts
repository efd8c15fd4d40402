import { existsSync } from "node:fs";
import { join } from "node:path";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { formatEndpoint } from "../../../common/endpoint.js";
import { VpnError } from "../../../common/errors.js";
import type { NetworkPlanSchema, SystemService } from "../../../common/gen/vpnd/v1/system_pb.js";
import type { ServiceImpl } from "../../../common/grpc/server.js";
import type { Trace } from "../../core/system/footprint.js";
import { listFiles, type StateFile } from "../../io/state/list-files.js";
import type { SystemDoor } from "../../io/system/door.js";
import type { Gateway } from "../gateway/gateway.js";
import type { KillSwitch } from "../kill-switch/kill-switch.js";
import type { Network } from "../network.js";
import type { Networks } from "../networks.js";
import { stateOf } from "./convert.js";
import { killSwitchMessage } from "./kill-switch-service.js";

/** Where vpnd's own things are. */
export interface Places {
  stateDir: string;
  /** Path of the API socket. */
  socket: string;
}

/** Plan and footprint: what the door knows, with files and sockets. */
export function systemService(
  networks: Networks,
  door: SystemDoor,
  killSwitch: KillSwitch,
  gateway: Gateway,
  places: Places,
): ServiceImpl<(typeof SystemService)["method"]> {
  return {
    async getPlan({ network }) {
      const chosen = network === "" ? networks.all() : [networks.get(network)];
      const plans = await Promise.all(chosen.map(planOf));
      if (network !== "" || !killSwitch.on) return { networks: plans };
      return { networks: plans, killSwitch: await killSwitchMessage(killSwitch) };
    },
    async getFootprint({ network }) {
      if (network !== "") networks.get(network);
      const { files, more } = await listFiles(places.stateDir);
      const all: Trace[] = [
        ...(await door.footprint()),
        ...(await killSwitch.footprint()),
        ...gateway.footprint(),
        ...networks.all().flatMap(udpSocket),
        ...networks.all().flatMap(nameSockets),
        apiSocket(places.socket),
        ...files.map((file) => fileTrace(file, places.stateDir, networks.names())),
      ];
      const traces = all.filter((trace) => network === "" || trace.network === network);
      return { traces, moreFiles: more };
    },
  };
}

async function planOf(network: Network): Promise<MessageInitShape<typeof NetworkPlanSchema>> {
  const { state } = stateOf(network);
  try {
    return { network: network.name, state, steps: await network.steps() };
  } catch (error) {
    const { code, message } = VpnError.from(error);
    return { network: network.name, state, obstacle: { code, message } };
  }
}

function udpSocket(network: Network): Trace[] {
  if (!network.carrier) return [];
  const { port } = network.config;
  return [{ kind: "socket", name: `udp ${port}`, detail: "", network: network.name, present: true }];
}

function nameSockets(network: Network): Trace[] {
  if (!network.names.possible) return [];
  const { state, server } = network.names.view();
  if (state !== "on") return [];
  const at = formatEndpoint(server, 53);
  const common = { kind: "socket", detail: "names", network: network.name, present: true } as const;
  return [
    { ...common, name: `udp ${at}` },
    { ...common, name: `tcp ${at}` },
  ];
}

function apiSocket(path: string): Trace {
  return { kind: "socket", name: `unix ${path}`, detail: "", network: "", present: existsSync(path) };
}

/** Files of a network are FOLDER/NAME.json. */
function fileTrace(file: StateFile, root: string, names: readonly string[]): Trace {
  const owner = names.find((name) =>
    ["networks", "secrets", "peers"].some((folder) => file.path === join(root, folder, `${name}.json`)),
  );
  const mode = file.mode.toString(8).padStart(4, "0");
  const detail = `${file.size} bytes, mode ${mode}`;
  return { kind: "file", name: file.path, detail, network: owner ?? "", present: true };
}
