import { jsonLine } from "../../core/present.js";
import { printable } from "../../core/table.js";
import { type CtlCommand, unaryOptions, withApi } from "../context.js";

const gatewayUserRevoke: CtlCommand<object, [string]> = async (context, _, name) => {
  const { kicked } = await withApi(context, (api) =>
    api.gateway.revokeGatewayUser({ name }, unaryOptions(context)),
  );
  context.out.write(
    context.globals.json
      ? jsonLine({ schema: "vpnctl.gateway-user-revoke/v1", user: name, kicked })
      : `${printable(`revoked ${name}: ${kicked} ${kicked === 1 ? "connection" : "connections"} closed`)}\n`,
  );
  return 0;
};

export default gatewayUserRevoke;
