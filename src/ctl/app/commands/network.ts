import { VpnError } from "../../../common/errors.js";
import { networkOf } from "../../core/globals.js";
import { detailsJson, networkJson } from "../../core/network-documents.js";
import { networkText } from "../../core/network-text.js";
import { jsonLine } from "../../core/present.js";
import { type CtlCommand, unaryOptions, withApi } from "../context.js";

const network: CtlCommand<object, [string?]> = async (context, _flags, positional) => {
  const name = networkOf(context.globals, positional);
  const answer = await withApi(context, (api) =>
    api.networks.getNetwork({ network: name }, unaryOptions(context)),
  );
  if (answer.network === undefined) throw new VpnError("internal", "vpnd did not describe the network");
  context.out.write(
    context.globals.json
      ? jsonLine({
          schema: "vpnctl.network/v1",
          ...networkJson(answer.network),
          ...(answer.details && detailsJson(answer.details)),
        })
      : networkText(answer.network, answer.details, context.now()),
  );
  return 0;
};

export default network;
