import { VpnError } from "../../common/errors.js";
import { makeLogger } from "../../common/log.js";
import { systemdLinks } from "../../common/systemd/links.js";
import { ServiceManager } from "../../common/systemd/service-manager.js";
import { probeSocket } from "../io/api-socket.js";
import { closeFd, createMeshEngine, lockFile, makeSocket, openTun } from "../io/native.js";
import { requirePrivilege, requireTunDriver } from "../io/privilege.js";
import { help, parseArguments } from "./arguments.js";
import { cleanUp } from "./cleanup.js";
import { Daemon, type Native } from "./daemon.js";
import { meshCarriers } from "./mesh-carriers.js";
import { version } from "./version.js";

const native: Native = {
  openTun: (name) => openTun({ name }),
  makeSocket,
  closeFd,
  lockFile,
  createMeshEngine,
};

/** Time that a fault leaves for putting the machine in order, milliseconds. */
const lastWordsMs = 5_000;

async function main(argv: readonly string[]): Promise<void> {
  const args = parseArguments(argv);
  if (args.mode === "help") return say(help);
  if (args.mode === "version") return say(`vpnd ${version()}\n`);
  requirePrivilege();
  const log = makeLogger("vpnd", args.logLevel);
  const stop = new AbortController();
  for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) {
    process.on(signal, () => stop.abort(new VpnError("cancelled", signal)));
  }
  if (args.mode === "run") {
    requireTunDriver();
    await probeSocket(args.socket);
  }
  // -------- Above this line nothing changes the machine. --------
  if (args.mode === "cleanup") {
    for (const line of await cleanUp(args, native, log)) say(`${line}\n`);
    return;
  }
  const service = new ServiceManager(process.env, process.pid, systemdLinks, log);
  const daemon = new Daemon(args, native, meshCarriers(log), service, log);
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
