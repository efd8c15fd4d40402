import { VpnError } from "../../common/errors.js";
import { makeLogger } from "../../common/log.js";
import { systemdLinks } from "../../common/systemd/links.js";
import { ServiceManager } from "../../common/systemd/service-manager.js";
import { socketMark } from "../core/system/mark.js";
import { probeSocket } from "../io/api-socket.js";
import { type ConfigReport, checkConfig, loadConfig, loadPlaces } from "../io/config/load.js";
import {
  deleteClientDevices,
  forgetFlows,
  openClientDevice,
  openSharedDevice,
} from "../io/gateway/devices.js";
import { createPortHub } from "../io/gateway/hub.js";
import { chooseCrypto, closeFd, createMeshEngine, lockFile, makeSocket, openTun } from "../io/native.js";
import { createPacketPort } from "../io/packet-port.js";
import { requirePrivilege, requireTunDriver } from "../io/privilege.js";
import { machineExecutor } from "../io/system/executor.js";
import { type Arguments, help, parseArguments } from "./arguments.js";
import { carriers } from "./carriers.js";
import { cleanUp } from "./cleanup.js";
import { Daemon, type Native } from "./daemon.js";
import { restoreKillSwitch } from "./kill-switch/without-daemon.js";
import { version } from "./version.js";

const native: Native = {
  openTun: (name, use = "one-queue") =>
    openTun({
      name,
      tap: use === "tap" || use === "plain-tap",
      plain: use === "plain" || use === "plain-tap",
      multiQueue: use === "queues",
    }),
  makeSocket: (options) => makeSocket({ ...options, mark: socketMark }),
  closeFd,
  lockFile,
  chooseCrypto,
  createMeshEngine,
  createPacketPort,
  createPortHub,
  openClientDevice,
  openSharedDevice,
  deleteClientDevices,
  forgetFlows,
};

/** Time that a fault leaves for putting the machine in order, milliseconds. */
const lastWordsMs = 5_000;

async function main(argv: readonly string[]): Promise<void> {
  const args = parseArguments(argv);
  if (args.mode === "help") return say(help);
  if (args.mode === "version") return say(`vpnd ${version()}\n`);
  if (args.mode === "check-config") return sayConfig(await checkConfig(args));
  requirePrivilege();
  if (args.mode === "cleanup") return sayCleanup(await loadPlaces(args), args);
  if (args.mode === "restore-kill-switch") return sayRestored(await loadPlaces(args));
  const config = await loadConfig(args);
  const log = makeLogger("vpnd", config.settings.logLevel);
  const stop = new AbortController();
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    process.on(signal, () => stop.abort(new VpnError("cancelled", signal)));
  }
  const service = new ServiceManager(process.env, process.pid, systemdLinks, log);
  const daemon = new Daemon(args, config, native, carriers(native, log), service, log);
  process.on("SIGHUP", () => void daemon.reload());
  requireTunDriver();
  await probeSocket(config.settings.socket);
  // -------- Above this line nothing changes the machine. --------
  for (const fault of ["uncaughtException", "unhandledRejection"] as const) {
    process.once(fault, (error: unknown) => {
      log.fatal({ err: error }, "vpnd ran into a fault of its own and ends");
      setTimeout(() => process.exit(1), lastWordsMs);
      void daemon.stop().finally(() => process.exit(1));
    });
  }
  try {
    await daemon.start(stop.signal);
    await aborted(stop.signal);
  } catch (error) {
    if (!stop.signal.aborted) throw error;
  } finally {
    await daemon.stop();
    log.info("stopped");
  }
}

/** Standard output gets what is in force, or nothing at all. */
function sayConfig({ text, problems, notes }: ConfigReport): void {
  say(text);
  for (const note of notes) process.stderr.write(`# ${note}\n`);
  if (problems.length === 0) return;
  const [first = "", ...more] = problems;
  throw new VpnError("usage", [first, ...more].join("\n"));
}

async function sayCleanup(
  places: Awaited<ReturnType<typeof loadPlaces>>,
  { dryRun, killSwitch }: Arguments,
): Promise<void> {
  const log = makeLogger("vpnd", "info");
  for (const problem of places.problems) log.warn({ problem }, "config is wrong; cleaning up all the same");
  const { done, notes } = await cleanUp(places, native, log, { dryRun, killSwitch });
  for (const line of done) say(`${line}\n`);
  for (const note of notes) say(`# ${note}\n`);
}

async function sayRestored({ stateDir }: Awaited<ReturnType<typeof loadPlaces>>): Promise<void> {
  for (const line of await restoreKillSwitch(stateDir, machineExecutor(native))) say(`${line}\n`);
}

function say(text: string): void {
  process.stdout.write(text);
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}

main(process.argv.slice(2)).then(
  // The addon's threads and sockets are closed by now; nothing else is worth waiting for.
  () => process.exit(0),
  (thrown: unknown) => {
    const error = VpnError.from(thrown);
    process.stderr.write(`vpnd: ${error.message}\n${error.hint === undefined ? "" : `${error.hint}\n`}`);
    process.exit(error.exitCode);
  },
);
