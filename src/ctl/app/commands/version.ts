import { VpnError } from "../../../common/errors.js";
import { versionJson } from "../../core/network-documents.js";
import { jsonLine } from "../../core/present.js";
import { type CtlCommand, unaryOptions, warn, withApi } from "../context.js";

const version: CtlCommand<object, []> = async (context) => {
  const { json } = context.globals;
  try {
    const daemon = await withApi(context, (api) => api.daemon.getVersion({}, unaryOptions(context)));
    context.out.write(
      json
        ? jsonLine(versionJson(context.version, daemon))
        : `vpnctl ${context.version}\nvpnd ${daemon.version} (Node ${daemon.nodeVersion}, OpenSSL ${daemon.opensslVersion})\n`,
    );
    if (daemon.version !== context.version) warn(context, "versions differ: restart vpnd after an update");
    return 0;
  } catch (thrown) {
    const error = VpnError.from(thrown);
    // The client's own version is known whatever the daemon does.
    if (error.code !== "cancelled")
      context.out.write(
        json ? jsonLine(versionJson(context.version, undefined)) : `vpnctl ${context.version}\n`,
      );
    throw error;
  }
};

export default version;
