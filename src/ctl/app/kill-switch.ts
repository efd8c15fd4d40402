/** What the commands of the kill switch share. */
import { VpnError } from "../../common/errors.js";
import type { KillSwitch } from "../../common/gen/vpnd/v1/kill_switch_pb.js";
import type { Api } from "../io/api.js";
import { type CtlContext, withApi } from "./context.js";

/** As `withApi`; without vpnd it says how to lift the switch all the same. */
export async function withKillSwitchApi<T>(context: CtlContext, use: (api: Api) => Promise<T>): Promise<T> {
  try {
    return await withApi(context, use);
  } catch (thrown) {
    const error = VpnError.from(thrown);
    if (error.code !== "daemon-down") throw error;
    throw new VpnError("daemon-down", error.message, {
      hint: "start it: sudo systemctl start vpnd; or lift the kill switch without it: sudo vpnd --cleanup --kill-switch",
      cause: thrown,
    });
  }
}

/** The part of an answer that is always there. */
export function present(killSwitch: KillSwitch | undefined): KillSwitch {
  if (killSwitch === undefined) throw new VpnError("internal", "vpnd did not say how the kill switch is");
  return killSwitch;
}
