import { networkJson } from "../../core/network-documents.js";
import { networksText } from "../../core/network-text.js";
import { jsonLine } from "../../core/present.js";
import { type CtlCommand, unaryOptions, withApi } from "../context.js";

const networks: CtlCommand<object, []> = async (context) => {
  const answer = await withApi(context, (api) => api.networks.listNetworks({}, unaryOptions(context)));
  const wanted = context.globals.network;
  const shown = answer.networks.filter((network) => wanted === "" || network.name === wanted);
  context.out.write(
    context.globals.json
      ? jsonLine({ schema: "vpnctl.networks/v1", networks: shown.map(networkJson) })
      : networksText(shown, context.out.look),
  );
  return 0;
};

export default networks;
