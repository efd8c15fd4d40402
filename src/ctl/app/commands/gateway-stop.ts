import { type CtlCommand, unaryOptions, withApi } from "../context.js";
import { printChange } from "../gateway.js";

const gatewayStop: CtlCommand<{ readonly dryRun?: boolean }, []> = async (context, { dryRun = false }) => {
  const answer = await withApi(context, (api) => api.gateway.stopGateway({ dryRun }, unaryOptions(context)));
  printChange(context, answer, dryRun, "the gateway does not run");
  return 0;
};

export default gatewayStop;
