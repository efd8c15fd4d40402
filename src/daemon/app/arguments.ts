import { resolve } from "node:path";
import type { Entry } from "../../common/config/layer.js";
import { readFlags, usageErrors } from "../../common/flags.js";

export interface Arguments {
  /** Only with the mode "cleanup": nothing is changed. */
  dryRun: boolean;
  /** Only with the mode "cleanup": the kill switch is lifted too. */
  killSwitch: boolean;
  mode: "run" | "cleanup" | "restore-kill-switch" | "check-config" | "help" | "version";
  /** Absolute. Undefined: the default one, which need not exist. */
  configFile: string | undefined;
  /** Flags that stand for config keys; they win over files. */
  overrides: Entry[];
}

export const help = `Usage: vpnd [FLAGS]

The daemon of a mesh VPN. It is driven by vpnctl over a Unix socket.

Flags:
  --config FILE        settings, and those in FILE.d/*.toml (default /etc/vpnd/vpnd.toml, if it is there)
  --check-config       print the settings in force and where each comes from, or what is wrong, and exit
  --state-dir DIR      networks, keys and the journal (default /var/lib/vpnd)
  --socket PATH        where vpnctl connects (default /run/vpnd/vpnd.sock)
  --socket-group NAME  group that may use the socket (default vpnd, if there is such a group)
  --metrics ADDR:PORT  serve http://ADDR:PORT/metrics (default: off)
  --log-level LEVEL    trace, debug, info, warn, error or fatal (default info)
  --cleanup            take back what a killed vpnd left on this machine, and exit
  --kill-switch        with --cleanup: lift the kill switch too, which otherwise stays on
  --restore-kill-switch  put a kill switch that is on in force, and exit (at boot)
  --dry-run            with --cleanup: only say what would be taken back
  --help, --version

Flags win over files. Exit codes: 0 ok, 1 failure, 2 usage or config, 4 not permitted. Manual: vpnd(8).
`;

const options = {
  config: { type: "string" },
  "check-config": { type: "boolean" },
  "state-dir": { type: "string" },
  socket: { type: "string" },
  "socket-group": { type: "string" },
  metrics: { type: "string" },
  "log-level": { type: "string" },
  cleanup: { type: "boolean" },
  "dry-run": { type: "boolean" },
  help: { type: "boolean", short: "h" },
  version: { type: "boolean" },
  takeover: { type: "boolean" },
  "kill-switch": { type: "boolean" },
  "restore-kill-switch": { type: "boolean" },
} as const;

/** Flags of the manual's later chapters; refused rather than ignored. */
const notYet = ["takeover"] as const;

const usage = usageErrors("vpnd");

/** @param argv without node and script @throws VpnError `usage` */
export function parseArguments(argv: readonly string[]): Arguments {
  const values = readFlags(argv, options, notYet, usage);
  for (const flag of ["config", "state-dir", "socket", "socket-group"] as const) {
    if (values[flag] === "") throw usage(`--${flag} is empty`);
  }
  const modes = ["cleanup", "check-config", "restore-kill-switch"] as const;
  const [first, second] = modes.filter((mode) => values[mode]);
  if (second !== undefined) throw usage(`--${first} and --${second} exclude each other`);
  for (const flag of ["dry-run", "kill-switch"] as const) {
    if (values[flag] && !values.cleanup) throw usage(`--${flag} goes with --cleanup`);
  }
  const overrides: Entry[] = [];
  const override = (flag: string, path: readonly string[], value: string | undefined): void => {
    if (value !== undefined) overrides.push({ path, value, origin: { file: `--${flag}` } });
  };
  const path = (value: string | undefined): string | undefined =>
    value === undefined ? undefined : resolve(value);
  override("state-dir", ["state_dir"], path(values["state-dir"]));
  override("socket", ["socket"], path(values.socket));
  override("socket-group", ["socket_group"], values["socket-group"]);
  override("metrics", ["metrics", "listen"], values.metrics);
  override("log-level", ["log", "level"], values["log-level"]);
  return {
    mode: modeOf(values),
    dryRun: values["dry-run"] ?? false,
    killSwitch: values["kill-switch"] ?? false,
    configFile: path(values.config),
    overrides,
  };
}

function modeOf(values: {
  help?: boolean;
  version?: boolean;
  cleanup?: boolean;
  "check-config"?: boolean;
  "restore-kill-switch"?: boolean;
}): Arguments["mode"] {
  if (values.help) return "help";
  if (values.version) return "version";
  if (values["check-config"]) return "check-config";
  if (values["restore-kill-switch"]) return "restore-kill-switch";
  return values.cleanup ? "cleanup" : "run";
}
