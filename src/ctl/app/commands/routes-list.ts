import { jsonLine } from "../../core/present.js";
import { routesJson } from "../../core/route-documents.js";
import { routesText } from "../../core/route-text.js";
import { type CtlCommand, unaryOptions, withApi } from "../context.js";

const routesList: CtlCommand<object, []> = async (context) => {
  const { network, json } = context.globals;
  const { networks } = await withApi(context, (api) =>
    api.routes.listRoutes({ network }, unaryOptions(context)),
  );
  context.out.write(
    json
      ? networks.map((one) => jsonLine(routesJson(one))).join("")
      : networks.map((one) => routesText(one, networks.length > 1, context.out.look)).join(""),
  );
  return 0;
};

export default routesList;
