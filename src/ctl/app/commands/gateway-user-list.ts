import { usersJson } from "../../core/gateway-documents.js";
import { usersText } from "../../core/gateway-text.js";
import { jsonLine } from "../../core/present.js";
import { type CtlCommand, unaryOptions, withApi } from "../context.js";

const gatewayUserList: CtlCommand<object, []> = async (context) => {
  const { users } = await withApi(context, (api) => api.gateway.listGatewayUsers({}, unaryOptions(context)));
  context.out.write(context.globals.json ? jsonLine(usersJson(users)) : usersText(users, context.out.look));
  return 0;
};

export default gatewayUserList;
