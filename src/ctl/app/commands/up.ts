import { networkOf } from "../../core/globals.js";
import { type CtlCommand, unaryOptions, withApi } from "../context.js";
import { printChange } from "./plan-output.js";

const up: CtlCommand<{ readonly dryRun?: boolean }, [string?]> = async (
  context,
  { dryRun = false },
  positional,
) => {
  const network = networkOf(context.globals, positional);
  const answer = await withApi(context, (api) => api.networks.up({ network, dryRun }, unaryOptions(context)));
  const name = answer.network?.name ?? network;
  const where = answer.network ? `: ${answer.network.virtualIp} on ${answer.network.device}` : "";
  const text = `${name} is ${answer.alreadyUp ? "already " : ""}up${where}`;
  printChange(context, { command: "up", networks: [name], dryRun, plan: answer.plan, text });
  return 0;
};

export default up;
