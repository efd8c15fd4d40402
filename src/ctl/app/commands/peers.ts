import type { NetworkPeers } from "../../../common/gen/vpnd/v1/peer_pb.js";
import { networkOf } from "../../core/globals.js";
import { peersJson } from "../../core/peer-documents.js";
import { peersText } from "../../core/peer-text.js";
import { jsonLine } from "../../core/present.js";
import { type CtlCommand, type CtlContext, unaryOptions, withApi } from "../context.js";
import { Screen } from "./screen.js";

/** Round trips and counters change without events; a watched list is refreshed this often. */
const watchIntervalSeconds = 2;

const peers: CtlCommand<{ readonly watch?: boolean }, [string?]> = async (
  context,
  { watch = false },
  positional,
) =>
  withApi(context, async (api) => {
    const network = networkOf(context.globals, positional);
    if (!watch) {
      const answer = await api.peers.listPeers({ network }, unaryOptions(context));
      context.out.write(text(context, answer.networks));
      return 0;
    }
    const screen = new Screen(context.out, !context.globals.json);
    const request = { network, intervalSeconds: watchIntervalSeconds };
    for await (const update of api.peers.watchPeers(request, { signal: context.signal }))
      screen.show(text(context, update.networks));
    return 0;
  });

function text(context: CtlContext, networks: readonly NetworkPeers[]): string {
  return context.globals.json
    ? networks.map((network) => jsonLine(peersJson(network))).join("")
    : peersText(networks, context.out.look);
}

export default peers;
