import { errorTable, VpnError } from "../../../common/errors.js";
import type { GetStatusResponse } from "../../../common/gen/vpnd/v1/daemon_pb.js";
import { errorText } from "../../core/error-text.js";
import { statusJson } from "../../core/network-documents.js";
import { reasonText, statusText } from "../../core/network-text.js";
import { jsonLine } from "../../core/present.js";
import { type CtlCommand, type CtlContext, unaryOptions, warn, withApi } from "../context.js";

export type Check = "live" | "ready";

/** As LSB's `status` action: the service is not running. */
const notRunning = 3;

const status: CtlCommand<{ readonly check?: Check }, []> = async (context, { check }) => {
  let answer: GetStatusResponse;
  try {
    answer = await withApi(context, (api) => api.daemon.getStatus({}, unaryOptions(context)));
  } catch (thrown) {
    const error = VpnError.from(thrown);
    if (error.code !== "daemon-down") throw error;
    context.err.write(errorText(error, context.globals.debug));
    return notRunning;
  }
  if (answer.version !== context.version)
    warn(
      context,
      `vpnctl is ${context.version}, but vpnd is ${answer.version}: restart vpnd after an update`,
    );
  context.out.write(
    context.globals.json ? jsonLine(statusJson(answer)) : statusText(answer, context.now(), context.out.look),
  );
  return check === "ready" ? readiness(context, answer) : 0;
};

/** Ready: there is a network, and none that should be up is not. */
function readiness(context: CtlContext, answer: GetStatusResponse): number {
  const wanted = context.globals.network;
  const networks = answer.networks.filter((network) => wanted === "" || network.name === wanted);
  if (networks.length === 0)
    throw new VpnError("not-configured", wanted === "" ? "no network is joined" : `${wanted} is not joined`, {
      hint: "join one: vpnctl join --help",
    });
  const expected = networks.filter((network) => network.state !== "down" || wanted !== "");
  const bad = expected.find((network) => network.state !== "up");
  if (bad === undefined) return 0;
  const why = [bad.state, reasonText(bad.reason)].filter((part) => part !== "").join(", ");
  const degraded = new VpnError("degraded", `${bad.name} is not up: ${why}`, {
    hint: `look closer: vpnctl network ${bad.name}`,
  });
  context.err.write(errorText(degraded, context.globals.debug));
  return errorTable.degraded.exit;
}

export default status;
