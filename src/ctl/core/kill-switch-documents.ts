import type { KillSwitch } from "../../common/gen/vpnd/v1/kill_switch_pb.js";
import { type Json, rfc3339 } from "./present.js";

/** @param more what a command has to add: notes, plan */
export function killSwitchJson(
  now: KillSwitch,
  more: { readonly [key: string]: Json } = {},
): { schema: string; [key: string]: Json } {
  return { schema: "vpnctl.kill-switch/v1", ...killSwitchMembers(now), ...more };
}

/** The same as a part of another document. */
export function killSwitchMembers(now: KillSwitch): { [key: string]: Json } {
  const { on, inForce, table } = now;
  if (!on) return { on, inForce, table };
  return {
    on,
    inForce,
    table,
    since: rfc3339(now.since),
    allowLan: now.allowLan,
    lan: now.lan,
    devices: now.devices,
    allowed: now.allowed.map(({ name, endpoints }) => ({ name, endpoints })),
    through: now.through,
  };
}
