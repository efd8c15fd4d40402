import { formatBytes, formatRate } from "../../common/format/bytes.js";
import type { Gateway, GatewayClient, GatewayUser } from "../../common/gen/vpnd/v1/gateway_pb.js";
import type { Look } from "./look.js";
import { reasonText } from "./network-text.js";
import { ago, bareAddress, rfc3339 } from "./present.js";
import { notes, printable, table } from "./table.js";

export function gatewayText(gateway: Gateway, at: Date, look: Look): string {
  const learns = gateway.anySource;
  const header = [
    "ID",
    "USER",
    "STATE",
    "ADDRESS",
    ...(learns ? ["SENDS AS"] : []),
    "FROM",
    "RTT",
    "RECEIVED",
    "SENT",
    "SINCE",
    "LEFT",
    "DROPS",
  ];
  const rows = gateway.clients.map((client) => row(client, learns, at));
  const listed =
    rows.length === 0
      ? ""
      : table(header, rows, { look, droppable: ["DROPS", "SINCE", "LEFT", "RTT", "FROM", "SENDS AS"] });
  const counted = (what: string, by: Gateway["refused"]): string[] => {
    const parts = Object.entries(by).map(([why, count]) => `${count} ${why}`);
    return parts.length === 0 ? [] : [`${what}: ${parts.join(", ")}`];
  };
  const [refused, strays] = [
    counted("refused", gateway.refused),
    counted("packets for nobody", gateway.strays),
  ];
  return headline(gateway) + listed + notes([...refused, ...strays, ...gateway.notes]);
}

/** One line on how it is. */
export function headline(gateway: Gateway): string {
  const { state, listen, path, open, users, clients, declaredIn } = gateway;
  const declared = declaredIn === "" ? "" : `, declared in ${declaredIn}`;
  if (state === "off") return `${printable(`gateway: off${declared}`)}\n`;
  const why = reasonText(gateway.reason);
  if (state !== "up")
    return `${printable(`gateway: ${state} at ${listen}${declared}${why === "" ? "" : `: ${why}`}`)}\n`;
  const here = clients.filter((client) => client.state === "up").length;
  const who = open
    ? "open to all"
    : users === 0
      ? "without users"
      : `${users} ${users === 1 ? "user" : "users"}`;
  const where = `${listen}${path === "/" ? "" : ` ${path}`}`;
  return `${printable(`gateway: up at ${where}, ${who}, ${here} of ${gateway.maxClients} clients${declared}`)}\n`;
}

export function usersText(users: readonly GatewayUser[], look: Look): string {
  if (users.length === 0) return notes(["no users; add one: vpnctl gateway user add NAME"]);
  const rows = users.map(({ name, created, expires, expired, rate, clients, ...more }) => [
    name,
    rfc3339(created) ?? "-",
    expired ? "expired" : (rfc3339(expires) ?? "never"),
    rate === 0 ? "-" : formatRate(rate),
    quotaText(more),
    String(clients),
  ]);
  const header = ["USER", "ADDED", "EXPIRES", "RATE", "QUOTA", "CLIENTS"];
  return table(header, rows, { look, droppable: ["ADDED", "RATE"] });
}

/** "1.20 GiB of 10.0 GiB/month". */
function quotaText({
  quota,
  quotaPeriod,
  quotaUsed,
}: Pick<GatewayUser, "quota" | "quotaPeriod" | "quotaUsed">): string {
  if (quota === 0) return "-";
  return `${formatBytes(quotaUsed)} of ${formatBytes(quota)}${quotaPeriod === "" ? "" : `/${quotaPeriod}`}`;
}

function row(client: GatewayClient, learns: boolean, at: Date): string[] {
  const { rttSeconds } = client;
  return [
    String(client.id),
    client.user || "-",
    client.state,
    bareAddress(client.addresses[0] ?? ""),
    ...(learns ? [client.learnedAddresses.join(", ") || "-"] : []),
    client.remote,
    rttSeconds === undefined ? "-" : `${(rttSeconds * 1000).toFixed(1)} ms`,
    formatBytes(Number(client.rxBytes)),
    formatBytes(Number(client.txBytes)),
    ago(client.since, at) ?? "-",
    client.quotaLeft === undefined ? "-" : formatBytes(client.quotaLeft),
    Object.entries(client.drops)
      .map(([why, count]) => `${why} ${count}`)
      .join(", ") || "-",
  ];
}
