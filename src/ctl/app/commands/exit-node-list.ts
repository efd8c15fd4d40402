import { exitNodesJson } from "../../core/exit-node-documents.js";
import { exitNodesText, useText } from "../../core/exit-node-text.js";
import { jsonLine } from "../../core/present.js";
import { notes } from "../../core/table.js";
import { type CtlCommand, unaryOptions, withApi } from "../context.js";

const exitNodeList: CtlCommand<object, []> = async (context) => {
  const { network, json } = context.globals;
  const { networks, use } = await withApi(context, (api) =>
    api.exitNode.listExitNodes({ network }, unaryOptions(context)),
  );
  if (json) {
    context.out.write(networks.map((one) => jsonLine(exitNodesJson(one, use))).join(""));
    return 0;
  }
  const named = networks.length > 1;
  const tables = networks.map((one) => exitNodesText(one, named, context.out.look)).join("");
  context.out.write(tables + (use === undefined ? "" : notes([useText(use)])));
  return 0;
};

export default exitNodeList;
