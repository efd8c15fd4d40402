import { rulesJson } from "../../core/filter-documents.js";
import { rulesText } from "../../core/filter-text.js";
import { jsonLine } from "../../core/present.js";
import { type CtlCommand, unaryOptions, withApi } from "../context.js";

const rulesList: CtlCommand<object, []> = async (context) => {
  const { network, json } = context.globals;
  const { networks } = await withApi(context, (api) =>
    api.filter.listRules({ network }, unaryOptions(context)),
  );
  context.out.write(
    json
      ? networks.map((one) => jsonLine({ schema: "vpnctl.rules/v1", ...rulesJson(one) })).join("")
      : rulesText(networks, context.out.look),
  );
  return 0;
};

export default rulesList;
