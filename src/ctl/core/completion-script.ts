import { globalFlags } from "./globals.js";

export type Shell = "bash" | "zsh" | "fish";

export function isShell(text: string): text is Shell {
  return text === "bash" || text === "zsh" || text === "fish";
}

/** A script that completes commands and global flags. @param commands two-word ones with a space */
export function completionScript(shell: Shell, commands: readonly string[]): string {
  const first = [...new Set(commands.map((command) => command.split(" ")[0] ?? ""))];
  const second = new Map<string, string[]>();
  for (const command of commands) {
    const [head = "", tail] = command.split(" ");
    if (tail !== undefined) second.set(head, [...(second.get(head) ?? []), tail]);
  }
  const flags = globalFlags.map((flag) => flag.name);
  switch (shell) {
    case "bash":
      return bash(first, second, flags);
    case "zsh":
      return `#compdef vpnctl\nautoload -U +X bashcompinit && bashcompinit\n${bash(first, second, flags)}`;
    case "fish":
      return fish(first, second);
  }
}

function bash(
  first: readonly string[],
  second: ReadonlyMap<string, readonly string[]>,
  flags: readonly string[],
): string {
  const cases = [...second].map(([head, tails]) => `    ${head}) words="${tails.join(" ")}" ;;`);
  return `_vpnctl() {
  local words
  case "\${COMP_WORDS[COMP_CWORD-1]}" in
${cases.join("\n")}
    *) words="${[...first, ...flags].join(" ")}" ;;
  esac
  COMPREPLY=($(compgen -W "$words" -- "\${COMP_WORDS[COMP_CWORD]}"))
}
complete -o default -F _vpnctl vpnctl
`;
}

function fish(first: readonly string[], second: ReadonlyMap<string, readonly string[]>): string {
  const lines = [`complete -c vpnctl -f -n __fish_use_subcommand -a "${first.join(" ")}"`];
  for (const [head, tails] of second)
    lines.push(`complete -c vpnctl -f -n "__fish_seen_subcommand_from ${head}" -a "${tails.join(" ")}"`);
  for (const flag of globalFlags) {
    const short = flag.alias === undefined ? "" : ` -s ${flag.alias.slice(1)}`;
    const value = flag.value === undefined ? "" : " -r";
    lines.push(
      `complete -c vpnctl -l ${flag.name.slice(2)}${short}${value} -d "${flag.brief.replaceAll("$", "\\$")}"`,
    );
  }
  return `${lines.join("\n")}\n`;
}
