import { jsonLine } from "../../core/present.js";
import { pskStatusJson } from "../../core/psk-documents.js";
import { pskStatusText } from "../../core/psk-text.js";
import { type CtlCommand, unaryOptions, withApi } from "../context.js";

const pskStatus: CtlCommand<object, []> = async (context) => {
  const { network, json } = context.globals;
  const answer = await withApi(context, (api) => api.keys.getPskStatus({ network }, unaryOptions(context)));
  context.out.write(
    json
      ? answer.networks.map((psk) => jsonLine(pskStatusJson(psk))).join("")
      : pskStatusText(answer.networks, context.now()),
  );
  return 0;
};

export default pskStatus;
