/** Writes docs/man/vpnctl.1 from the command tree; a test holds the two equal. Run: tsx scripts/generate-man.ts */
import { writeFileSync } from "node:fs";
import type { Command, RouteMap } from "@stricli/core";
import type { CtlContext } from "../src/ctl/app/context.js";
import { tree } from "../src/ctl/app/tree.js";
import { globalFlags } from "../src/ctl/core/globals.js";

const exitCodes: readonly (readonly [number, string])[] = [
  [0, "Success."],
  [1, "Failure."],
  [2, "Wrong usage, or a name that fits several things."],
  [3, "vpnd is not running (only from status)."],
  [4, "Not permitted."],
  [6, "Not configured: no such network is joined."],
  [7, "vpnd is not running."],
  [8, "No reply: a rendezvous server, a peer or vpnd was silent for too long."],
  [9, "Degraded (status --check ready)."],
  [130, "Ended by Ctrl-C."],
];

/** roff text: hyphens stay hyphens, backslashes and leading dots are no requests. */
function roff(text: string): string {
  return text
    .replaceAll("\\", "\\e")
    .replaceAll("-", "\\-")
    .replaceAll("…", "...")
    .replace(/^([.'])/gm, "\\&$1");
}

function kebab(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

function entry(term: string, text: string): string {
  return `.TP\n${term}\n${roff(text)}\n`;
}

function commandEntry(name: string, command: Command<CtlContext>): string {
  const { flags = {}, aliases = {}, positional } = command.parameters;
  const shown = Object.entries(flags).filter(([, flag]) => !("hidden" in flag && flag.hidden));
  const args = positional?.kind === "tuple" ? positional.parameters : [];
  const words = args.map((one) => {
    const word = `\\fI${roff(one.placeholder ?? "ARG")}\\fR`;
    return one.optional === true ? `[${word}]` : word;
  });
  if (positional?.kind === "array")
    words.push(`[\\fI${roff(positional.parameter.placeholder ?? "ARG")}\\fR...]`);
  const options = shown.length > 0 ? ["[\\fIOPTION\\fR...]"] : [];
  const head = `.SS ${[`"vpnctl ${name}`, ...words, ...options].join(" ")}"\n${roff(command.brief)}.\n`;
  const body = shown.map(([key, flag]) => {
    const alias = Object.entries(aliases).find(([, target]) => target === key)?.[0];
    const short = alias === undefined ? "" : `\\fB\\-${alias}\\fR, `;
    const values = flag.kind === "enum" ? flag.values.join("|") : flag.placeholder;
    const value = flag.kind === "boolean" || values === undefined ? "" : ` \\fI${roff(values)}\\fR`;
    return entry(`${short}\\fB\\-\\-${roff(kebab(key))}\\fR${value}`, `${flag.brief}.`);
  });
  return head + body.join("");
}

function commands(routes: RouteMap<CtlContext>, prefix: string): string {
  return routes
    .getAllEntries()
    .filter((one) => !one.hidden)
    .map((one) => {
      const name = `${prefix}${one.name["convert-camel-to-kebab"]}`;
      return "getAllEntries" in one.target
        ? commands(one.target, `${name} `)
        : commandEntry(name, one.target);
    })
    .join("");
}

/** The whole page in roff (man macros). */
export function manPage(): string {
  const globals = globalFlags.map((flag) => {
    const alias = flag.alias === undefined ? "" : `\\fB${roff(flag.alias)}\\fR, `;
    const value = flag.value === undefined ? "" : ` \\fI${roff(flag.value)}\\fR`;
    return entry(`${alias}\\fB${roff(flag.name)}\\fR${value}`, `${flag.brief}.`);
  });
  return `.\\" Made by scripts/generate-man.ts from the command tree.
.TH VPNCTL 1 "" "vpnd" "User Commands"
.SH NAME
vpnctl \\- control vpnd, the mesh VPN service
.SH SYNOPSIS
.B vpnctl
[\\fIGLOBAL OPTION\\fR...] \\fICOMMAND\\fR [\\fIARGUMENT\\fR...]
.SH DESCRIPTION
vpnctl talks to
.BR vpnd (8)
over its Unix socket: it joins networks, lists peers, shows counters and compares keys.
Members of the group vpnd may use it; membership is as powerful as root where networking is concerned.
.PP
Data goes to standard output, remarks after it on lines that begin with "# ", and everything else to standard error.
An error is a line that says what happened and a line that says what to do.
.PP
.I PEER
is a name, a name and network as in nas.home, or a virtual IP.
.SH "GLOBAL OPTIONS"
They stand before or after the command.
${globals.join("")}.SH COMMANDS
${commands(tree, "")}.SH "EXIT STATUS"
${exitCodes.map(([code, text]) => entry(`.B ${code}`, text)).join("")}.SH ENVIRONMENT
${entry(".B VPND_SOCKET", "Socket of vpnd, unless --socket names one.")}${entry(
  ".B NO_COLOR",
  "When set and not empty: no colours.",
)}.SH FILES
${entry(".I /run/vpnd/vpnd.sock", "Socket of vpnd.")}.SH EXAMPLES
.nf
${roff(`vpnctl psk generate --out home.key
vpnctl join home --iex iex.example.org:9944 --vip 10.0.0.10/16 --psk-file home.key
vpnctl peers
vpnctl stats --watch`)}
.fi
.SH "SEE ALSO"
.BR vpnd (8),
.BR iexd (8)
`;
}

/** Exit codes that the page explains. */
export const explainedExitCodes: readonly number[] = exitCodes.map(([code]) => code);

if (import.meta.url === `file://${process.argv[1] ?? ""}`)
  writeFileSync(new URL("../docs/man/vpnctl.1", import.meta.url), manPage());
