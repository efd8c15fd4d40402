import { VpnError } from "../../common/errors.js";
import { makeLogger } from "../../common/log.js";
import { systemdLinks } from "../../common/systemd/links.js";
import { ServiceManager } from "../../common/systemd/service-manager.js";
import { checkConfig, loadConfig } from "../io/config.js";
import { parseArguments } from "./arguments.js";
import { help } from "./help.js";
import { Iexd } from "./iexd.js";
import { reloader } from "./reload.js";
import { version } from "./version.js";

async function main(argv: readonly string[]): Promise<void> {
  const args = parseArguments(argv);
  if (args.mode === "help") return say(help);
  if (args.mode === "version") return say(`iexd ${version()}\n`);
  if (args.mode === "check-config") return say(await checkConfig(args));
  const config = await loadConfig(args);
  const log = makeLogger("iexd", config.settings.logLevel);
  const stopped = new Promise<string>((resolve) => {
    for (const signal of ["SIGTERM", "SIGINT"] as const) process.on(signal, resolve);
  });
  const server = new Iexd(config.settings, log);
  const service = new ServiceManager(process.env, process.pid, systemdLinks, log);
  const reload = reloader(args, config, server, service, log);
  process.on("SIGHUP", () => void reload());
  // -------- Above this line nothing changes the machine. --------
  await server.start();
  try {
    await service.ready("serving nodes");
    service.watch(() => true);
    const signal = await stopped;
    log.info({ signal }, "stopping");
  } finally {
    service.stopping();
    await server.stop();
  }
  log.info("stopped");
}

function say(text: string): void {
  process.stdout.write(text);
}

main(process.argv.slice(2)).catch((thrown: unknown) => {
  const error = VpnError.from(thrown);
  process.stderr.write(`iexd: ${error.message}\n${error.hint === undefined ? "" : `${error.hint}\n`}`);
  process.exitCode = error.exitCode;
});
