import type { CommandContext, RouteMap } from "@stricli/core";

/** Names of all commands that are not hidden; those of a group as "group name". */
export function commandNames<C extends CommandContext>(root: RouteMap<C>): string[] {
  return root
    .getAllEntries()
    .filter((entry) => !entry.hidden)
    .flatMap((entry) => {
      const name = entry.name["convert-camel-to-kebab"];
      const target = entry.target;
      if (!("getAllEntries" in target)) return [name];
      return commandNames(target).map((inner) => `${name} ${inner}`);
    });
}
