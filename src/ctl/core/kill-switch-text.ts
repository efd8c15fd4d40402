import type { KillSwitch } from "../../common/gen/vpnd/v1/kill_switch_pb.js";
import type { Look } from "./look.js";
import { ago } from "./present.js";
import { notes, printable, table } from "./table.js";

const lift = "to lift it: vpnctl kill-switch off; if vpnd is dead: sudo vpnd --cleanup --kill-switch";
const gone = "somebody removed its nftables table: vpnd puts it back, or turn it on again";

export function killSwitchText(now: KillSwitch, at: Date, remarks: readonly string[] = []): string {
  if (!now.on) {
    const stray = now.inForce
      ? [`nftables table ${now.table} is there all the same; remove it: vpnctl kill-switch off`]
      : [];
    return `kill switch: off\n${notes([...stray, ...remarks])}`;
  }
  const through = now.through.map((line) => `  let through: ${printable(line)}\n`).join("");
  return headline(now, at) + through + notes([...(now.inForce ? [] : [gone]), ...remarks, lift]);
}

/** The line of `status`. */
export function killSwitchLine(now: KillSwitch | undefined, at: Date): string {
  if (now === undefined || !now.on) return "";
  return headline(now, at) + notes([lift]);
}

/** Its part of `plan`. */
export function killSwitchPlanText(now: KillSwitch, look: Look): string {
  const state = now.inForce ? "applied" : "missing";
  const row = ["1", state, `add nftables table ${now.table}`, `remove nftables table ${now.table}`];
  const remarks = now.inForce ? ["it stays when vpnd stops", lift] : [gone, lift];
  const options = { look, droppable: ["UNDO"] };
  return `kill switch: on\n${table(["STEP", "STATE", "CHANGE", "UNDO"], [row], options)}${notes(remarks)}`;
}

function headline(now: KillSwitch, at: Date): string {
  const since = ago(now.since, at);
  return `kill switch: on${now.inForce ? "" : ", but not in force"}${since === undefined ? "" : `, since ${since}`}\n`;
}
