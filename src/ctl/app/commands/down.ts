import { VpnError } from "../../../common/errors.js";
import { networkOf } from "../../core/globals.js";
import { type CtlCommand, unaryOptions, withApi } from "../context.js";
import { printChange } from "./plan-output.js";

interface DownFlags {
  readonly all?: boolean;
  readonly dryRun?: boolean;
}

const down: CtlCommand<DownFlags, [string?]> = async (
  context,
  { all = false, dryRun = false },
  positional,
) => {
  const network = networkOf(context.globals, positional);
  if (all && network !== "")
    throw new VpnError("usage", `--all and the network ${network} are both given`, {
      hint: "give one of them",
    });
  const answer = await withApi(context, (api) =>
    api.networks.down({ network, all, dryRun }, unaryOptions(context)),
  );
  const { networks, plan } = answer;
  const text =
    networks.length === 0 ? "no network was up" : networks.map((name) => `${name} is down`).join("\n");
  printChange(context, { command: "down", networks, dryRun, plan, text });
  return 0;
};

export default down;
