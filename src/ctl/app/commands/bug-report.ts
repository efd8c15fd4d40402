import { resolve } from "node:path";
import { gzipSync } from "node:zlib";
import { VpnError } from "../../../common/errors.js";
import { BugReport } from "../../core/bug-report.js";
import { eventJson } from "../../core/event-text.js";
import { detailsJson, networkJson, statusJson, versionJson } from "../../core/network-documents.js";
import { peersJson } from "../../core/peer-documents.js";
import { jsonLine } from "../../core/present.js";
import { statsJson } from "../../core/stats-documents.js";
import { footprintJson } from "../../core/system-documents.js";
import { notes } from "../../core/table.js";
import { tar } from "../../core/tar.js";
import type { Api } from "../../io/api.js";
import { configFiles, contentsOf, type Found, outputOf } from "../../io/look-at-machine.js";
import { createPrivateFile } from "../../io/report-files.js";
import { type CtlCommand, type CtlContext, unaryOptions, withApi } from "../context.js";

const mainConfig = "/etc/vpnd/vpnd.toml";
const newestEvents = 1000;

/** Programs whose output says how the machine is set up. */
const commands: readonly (readonly [file: string, program: string, ...args: string[]])[] = [
  ["system.txt", "uname", "-srvm"],
  ["addresses.txt", "ip", "-details", "address", "show"],
  ["routes.txt", "ip", "route", "show", "table", "all"],
  ["routes6.txt", "ip", "-6", "route", "show", "table", "all"],
  ["rules.txt", "ip", "rule", "show"],
  ["nftables.txt", "nft", "list", "table", "inet", "vpnd"],
  ["log.txt", "journalctl", "--unit", "vpnd", "--lines", "500", "--no-pager", "--output", "cat"],
];

/** Works without vpnd too: that it does not run may be what the report is about. */
const bugReport: CtlCommand<{ readonly out?: string }, []> = async (context, { out }) => {
  const report = new BugReport();
  await addDaemon(report, context);
  for (const [file, program, ...args] of commands)
    add(report, file, await outputOf(program, args, context.signal));
  add(report, "os-release.txt", await contentsOf("/etc/os-release"));
  for (const [index, path] of (await configFiles(mainConfig)).entries())
    add(report, `config/${index}.toml`, withTitle(path, await contentsOf(path)));
  context.signal.throwIfAborted();
  const now = context.now();
  const file = resolve(out ?? `vpnd-bug-report-${now.toISOString().replace(/[-:]|\.\d+/g, "")}.tar.gz`);
  const entries = report.entries();
  const data = gzipSync(tar(entries, Math.floor(now.getTime() / 1000)));
  await createPrivateFile(file, data);
  const { removed, gaps } = report;
  if (context.globals.json) {
    const documents = {
      files: entries.map(({ name }) => name),
      removed: removed.map(plain),
      missing: gaps.map(plain),
    };
    context.out.write(jsonLine({ schema: "vpnctl.bug-report/v1", file, bytes: data.length, ...documents }));
    return 0;
  }
  context.out.write(
    `${file}\n${notes([
      "sent nowhere; it holds addresses and names: look into it before you pass it on",
      ...removed.map((one) => `removed from ${one.file}: ${one.what}, ${one.count} times`),
      ...gaps.map((gap) => `missing: ${gap.file}: ${gap.reason}`),
    ])}`,
  );
  return 0;
};

const plain = <T extends object>(one: T): { [K in keyof T]: T[K] } => ({ ...one });

function add(report: BugReport, file: string, found: Found): void {
  if ("text" in found) report.addText(file, found.text);
  else report.addGap(file, found.missing);
}

function withTitle(path: string, found: Found): Found {
  return "text" in found ? { text: `# ${path}\n${found.text}` } : { missing: `${path}: ${found.missing}` };
}

async function addDaemon(report: BugReport, context: CtlContext): Promise<void> {
  try {
    await withApi(context, async (api) => {
      for (const [file, ask] of questions) {
        try {
          report.addDocuments(file, await ask(api, context));
        } catch (error) {
          report.addGap(file, VpnError.from(error).message);
        }
      }
    });
  } catch (error) {
    report.addDocuments("versions.json", [versionJson(context.version, undefined)]);
    report.addGap("answers of vpnd", VpnError.from(error).message);
  }
}

type Ask = (api: Api, context: CtlContext) => Promise<readonly unknown[]>;

const questions: readonly (readonly [file: string, ask: Ask])[] = [
  [
    "versions.json",
    async (api, context) => [
      versionJson(context.version, await api.daemon.getVersion({}, unaryOptions(context))),
    ],
  ],
  [
    "status.json",
    async (api, context) => [statusJson(await api.daemon.getStatus({}, unaryOptions(context)))],
  ],
  ["networks.json", describeNetworks],
  [
    "peers.json",
    async (api, context) => (await api.peers.listPeers({}, unaryOptions(context))).networks.map(peersJson),
  ],
  [
    "footprint.json",
    async (api, context) => {
      const { traces, moreFiles } = await api.system.getFootprint({}, unaryOptions(context));
      return [footprintJson(traces, moreFiles)];
    },
  ],
  [
    "stats.json",
    async (api, context) => (await api.stats.getStats({}, unaryOptions(context))).networks.map(statsJson),
  ],
  [
    "events.json",
    async (api, context) =>
      (await api.events.listEvents({ limit: newestEvents }, unaryOptions(context))).events.map(eventJson),
  ],
  [
    "metrics.json",
    async (api, context) => [(await api.metrics.getMetrics({}, unaryOptions(context))).text.split("\n")],
  ],
];

async function describeNetworks(api: Api, context: CtlContext): Promise<readonly unknown[]> {
  const { networks } = await api.networks.listNetworks({}, unaryOptions(context));
  const described = networks.map(async ({ name }) => {
    const { network, details } = await api.networks.getNetwork({ network: name }, unaryOptions(context));
    return { ...(network && networkJson(network)), ...(details && detailsJson(details)) };
  });
  // A damaged network cannot be described, only listed.
  return Promise.all(
    described.map((one, index) => one.catch(() => networks.slice(index, index + 1).map(networkJson)[0])),
  );
}

export default bugReport;
