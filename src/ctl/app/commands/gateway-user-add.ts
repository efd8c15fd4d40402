import type { Quota } from "../../core/gateway-options.js";
import { jsonLine } from "../../core/present.js";
import { notes } from "../../core/table.js";
import { type CtlCommand, unaryOptions, withApi } from "../context.js";

export interface UserAddFlags {
  /** Seconds. */
  readonly expires?: number;
  /** Bytes a second. */
  readonly rate?: number;
  readonly quota?: Quota;
}

const gatewayUserAdd: CtlCommand<UserAddFlags, [string]> = async (
  context,
  { expires, rate = 0, quota },
  name,
) => {
  const request = { name, rate, ...quota, ...(expires !== undefined && { expiresInSeconds: expires }) };
  const { token } = await withApi(context, (api) =>
    api.gateway.addGatewayUser(request, unaryOptions(context)),
  );
  context.out.write(
    context.globals.json
      ? jsonLine({ schema: "vpnctl.gateway-user-add/v1", user: name, token })
      : `${token}\n${notes(["keep it: nobody can tell it again", "its owner joins with: vpnctl join --gateway URL --token-file FILE"])}`,
  );
  return 0;
};

export default gatewayUserAdd;
