/** What makes an exit node better to use, and depends on the machine. */
import type { Logger } from "pino";
import { strictItems, tableNameItem } from "../../core/exit-node/client-items.js";
import { readUplinks } from "../../io/exit-node/uplinks.js";
import type { SystemDoor } from "../../io/system/door.js";

const strictOwner = "/exit-node/strict";

/** @throws VpnError `failed` when this machine drops answers to vpnd, and cannot be kept from that */
export async function applyExtras({ door, log }: { door: SystemDoor; log: Logger }): Promise<void> {
  await door.ensure("/exit-node/name", [tableNameItem]).catch((error: unknown) => {
    // Such as a read-only /etc: the number works all the same.
    log.info({ err: error }, "the routing table gets no name");
  });
  if (door.planUndo(strictOwner).length > 0 || !(await isStrict(door))) return;
  await door.apply(strictOwner, strictItems());
}

/** Whether source addresses are checked against routes where answers to vpnd come in. */
async function isStrict(door: SystemDoor): Promise<boolean> {
  const values = await Promise.all(
    ["all", ...readUplinks([])[4]].map((device) => door.readSetting(`net/ipv4/conf/${device}/rp_filter`)),
  );
  // The larger one of an interface's and the general value counts; 2 is loose.
  return values.includes("1") && values[0] !== "2";
}
