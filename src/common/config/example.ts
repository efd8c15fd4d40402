import { stringify } from "smol-toml";
import { dotted } from "./evaluate.js";
import type { Key } from "./keys.js";

/** Characters of a line of comment. */
const width = 100;

/**
 * The commented example file. Comments begin with "# "; what begins with "#" alone is config to be uncommented, and with all
 * of it uncommented the file is still correct.
 * @param names what stands in for names that users choose
 */
export function exampleFile(
  keys: readonly Key[],
  head: string,
  names: Readonly<Record<string, string>>,
): string {
  const blocks = [head.split("\n").map((text) => `# ${text}`.trimEnd())];
  for (const key of keys) {
    const path = key.path.map((part, index) =>
      part === "*" ? (names[key.path[index - 1] ?? ""] ?? part) : part,
    );
    const optional = key.path.includes("*") ? "#" : "";
    const text = comment(key.text);
    if (key.kind === "table") blocks.push([...text, `${optional}[${dotted(path)}]`]);
    else blocks.push([...text, reloadLine(key), `#${assignment(key)}`]);
  }
  return `${blocks.map((lines) => lines.join("\n")).join("\n\n")}\n`;
}

/** The table of all keys for the documentation (Markdown). */
export function keyTable(keys: readonly Key[], names: Readonly<Record<string, string>>): string {
  const rows = keys
    .filter((key) => key.kind === "value")
    .map((key) => {
      const path = key.path.map((part, index) =>
        part === "*" ? (names[key.path[index - 1] ?? ""] ?? part) : part,
      );
      const preset = key.default === undefined ? "" : `\`${valueText(key.default)}\``;
      return `| \`${path.join(".")}\` | ${preset} | ${key.reload === "live" ? "yes" : "no"} | ${key.text} |`;
    });
  return ["| key | default | SIGHUP applies it | what it is |", "| --- | --- | --- | --- |", ...rows].join(
    "\n",
  );
}

const reloadLine = (key: Key): string =>
  key.reload === "live" ? "# SIGHUP applies it." : "# SIGHUP does not apply it; it takes a restart.";

function assignment(key: Key): string {
  const name = key.path.at(-1) ?? "";
  return `${name} = ${key.default === undefined ? (key.example ?? '""') : valueText(key.default)}`;
}

const valueText = (value: unknown): string => stringify({ x: value }).trimEnd().slice("x = ".length);

function comment(text: string): string[] {
  const lines: string[] = [];
  let line = "#";
  for (const word of text.split(" ")) {
    if (line.length + 1 + word.length > width) {
      lines.push(line);
      line = "#";
    }
    line += ` ${word}`;
  }
  return [...lines, line];
}
