import { jsonLine } from "../../core/present.js";
import { printable } from "../../core/table.js";
import { type CtlCommand, unaryOptions, withApi } from "../context.js";

const gatewayKick: CtlCommand<object, [string]> = async (context, _, whom) => {
  const { kicked } = await withApi(context, (api) =>
    api.gateway.kickClients({ whom }, unaryOptions(context)),
  );
  context.out.write(
    context.globals.json
      ? jsonLine({ schema: "vpnctl.gateway-kick/v1", client: whom, kicked })
      : `${printable(`disconnected ${whom}: ${kicked} ${kicked === 1 ? "connection" : "connections"}`)}\n`,
  );
  return 0;
};

export default gatewayKick;
