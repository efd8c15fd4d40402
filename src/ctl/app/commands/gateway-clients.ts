import type { Gateway } from "../../../common/gen/vpnd/v1/gateway_pb.js";
import { gatewayJson } from "../../core/gateway-documents.js";
import { gatewayText } from "../../core/gateway-text.js";
import { jsonLine } from "../../core/present.js";
import { type CtlCommand, type CtlContext, unaryOptions, withApi } from "../context.js";
import { present } from "../gateway.js";
import { Screen } from "./screen.js";

const gatewayClients: CtlCommand<{ readonly watch?: boolean }, []> = async (context, { watch = false }) =>
  withApi(context, async (api) => {
    if (!watch) {
      const { gateway } = await api.gateway.getGateway({}, unaryOptions(context));
      context.out.write(shown(context, present(gateway)));
      return 0;
    }
    const screen = new Screen(context.out, !context.globals.json);
    for await (const { gateway } of api.gateway.watchGateway(
      { intervalSeconds: 0 },
      { signal: context.signal },
    ))
      screen.show(shown(context, present(gateway)));
    return 0;
  });

function shown(context: CtlContext, gateway: Gateway): string {
  return context.globals.json
    ? jsonLine(gatewayJson(gateway))
    : gatewayText(gateway, context.now(), context.out.look);
}

export default gatewayClients;
