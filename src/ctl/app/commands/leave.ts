import { networkOf } from "../../core/globals.js";
import { type CtlCommand, unaryOptions, withApi } from "../context.js";
import { printChange } from "./plan-output.js";

const leave: CtlCommand<{ readonly dryRun?: boolean }, [string?]> = async (
  context,
  { dryRun = false },
  positional,
) => {
  const network = networkOf(context.globals, positional);
  const answer = await withApi(context, (api) =>
    api.networks.leave({ network, dryRun }, unaryOptions(context)),
  );
  const name = answer.network || network;
  const text = `left ${name}`;
  printChange(context, { command: "leave", networks: [name], dryRun, plan: answer.plan, text });
  return 0;
};

export default leave;
