import { networkOf } from "../../core/globals.js";
import { jsonLine } from "../../core/present.js";
import { planJson } from "../../core/system-documents.js";
import { plansText } from "../../core/system-text.js";
import { type CtlCommand, unaryOptions, withApi } from "../context.js";

const plan: CtlCommand<object, [string?]> = async (context, _flags, positional) => {
  const network = networkOf(context.globals, positional);
  const { networks } = await withApi(context, (api) =>
    api.system.getPlan({ network }, unaryOptions(context)),
  );
  context.out.write(
    context.globals.json
      ? networks.map((one) => jsonLine(planJson(one))).join("")
      : plansText(networks, context.out.look),
  );
  return 0;
};

export default plan;
