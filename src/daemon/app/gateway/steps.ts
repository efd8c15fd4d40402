/** What starting and stopping the gateway would do, and what it has of the machine, a line each. */
import { clientDevices } from "../../core/gateway/nat.js";
import type { GatewayOptions } from "../../core/gateway/options.js";
import type { Trace } from "../../core/system/footprint.js";
import type { LifeState } from "./life.js";
import { sharedDevice } from "./shared-slots.js";
import type { Surroundings } from "./surroundings.js";

/** @throws as `Surroundings.plan` */
export async function stepsToStart(
  options: GatewayOptions,
  surroundings: Surroundings,
): Promise<{ plan: string[]; notes: string[] }> {
  const { plan, notes } = await surroundings.plan(options);
  const name = options.isolation === "shared" ? `device ${sharedDevice}` : `devices ${clientDevices}`;
  const devices = `create ${name} (tun) for up to ${options.maxClients} clients`;
  return { plan: [...plan, devices, `listen on ${options.listen}`], notes };
}

export function stepsToStop(life: LifeState, surroundings: Surroundings): string[] {
  if (life.state === "off") return [];
  const own = [`listen on ${life.options.listen} no more`, `remove devices ${clientDevices}`];
  return [...(life.state === "up" ? own : []), ...surroundings.planUndo()];
}

/** Its devices and its port; the rest is in the journal. */
export function footprintOf(life: LifeState): Trace[] {
  if (life.state !== "up") return [];
  const { devices } = life.service;
  const detail = `${devices} devices of gateway clients, mtu ${life.options.mtu}`;
  return [
    { kind: "device", name: clientDevices, detail, network: "", present: devices > 0 },
    { kind: "socket", name: `tcp ${life.options.listen}`, detail: "gateway", network: "", present: true },
  ];
}
