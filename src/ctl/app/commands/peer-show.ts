import { VpnError } from "../../../common/errors.js";
import { peerDocument } from "../../core/peer-documents.js";
import { peerText } from "../../core/peer-text.js";
import { jsonLine } from "../../core/present.js";
import { type CtlCommand, unaryOptions, withApi } from "../context.js";

const peerShow: CtlCommand<object, [string]> = async (context, _flags, peer) => {
  const answer = await withApi(context, (api) =>
    api.peers.getPeer({ network: context.globals.network, peer }, unaryOptions(context)),
  );
  if (answer.peer === undefined) throw new VpnError("internal", "vpnd did not describe the peer");
  context.out.write(
    context.globals.json
      ? jsonLine(peerDocument(answer, answer.peer))
      : peerText(answer, answer.peer, context.now()),
  );
  return 0;
};

export default peerShow;
