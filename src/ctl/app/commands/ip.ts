import { VpnError } from "../../../common/errors.js";
import { bareAddress, jsonLine } from "../../core/present.js";
import { type CtlCommand, unaryOptions, withApi } from "../context.js";

interface Address {
  readonly network: string;
  readonly virtualIp: string;
  readonly name: string | undefined;
}

/** Bare addresses, for scripts: `ssh $(vpnctl ip nas)`. */
const ip: CtlCommand<object, [string?]> = async (context, _flags, peer) =>
  withApi(context, async (api) => {
    const { network, json } = context.globals;
    const options = unaryOptions(context);
    let found: Address[];
    if (peer === undefined) {
      const { networks } = await api.networks.listNetworks({}, options);
      found = networks
        .filter((one) => network === "" || one.name === network)
        .map((one) => ({
          network: one.name,
          virtualIp: bareAddress(one.virtualIp),
          name: one.nodeName || undefined,
        }));
      if (found.length === 0)
        throw new VpnError(
          "not-configured",
          network === "" ? "no network is joined" : `${network} is not joined`,
          {
            hint: "join one: vpnctl join --help",
          },
        );
    } else {
      const answer = await api.peers.getPeer({ network, peer }, options);
      if (answer.peer === undefined) throw new VpnError("internal", "vpnd did not describe the peer");
      const { virtualIp, name } = answer.peer;
      found = [{ network: answer.network, virtualIp: bareAddress(virtualIp), name: name || undefined }];
    }
    for (const address of found)
      context.out.write(json ? jsonLine({ schema: "vpnctl.ip/v1", ...address }) : `${address.virtualIp}\n`);
    return 0;
  });

export default ip;
