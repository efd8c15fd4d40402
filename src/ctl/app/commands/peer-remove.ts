import { jsonLine } from "../../core/present.js";
import { notes, printable } from "../../core/table.js";
import { type CtlCommand, unaryOptions, withApi } from "../context.js";

const peerRemove: CtlCommand<{ readonly dryRun?: boolean }, [string]> = async (
  context,
  { dryRun = false },
  peer,
) => {
  const answer = await withApi(context, (api) =>
    api.peers.removePeer({ network: context.globals.network, peer, dryRun }, unaryOptions(context)),
  );
  const { network, virtualIp, hadPin } = answer;
  if (context.globals.json) {
    context.out.write(jsonLine({ schema: "vpnctl.peer-remove/v1", network, virtualIp, hadPin, dryRun }));
    return 0;
  }
  const verb = dryRun ? "would forget" : "forgot";
  const what = hadPin ? `${verb} the node key of ${virtualIp}` : `${virtualIp} had no pinned node key`;
  context.out.write(`${printable(`${what} in ${network}`)}\n`);
  if (dryRun) context.out.write(notes(["dry run: nothing was changed"]));
  return 0;
};

export default peerRemove;
