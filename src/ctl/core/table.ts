import { type Look, plain, stateColour } from "./look.js";
import { textWidth } from "./text-width.js";

export interface TableOptions {
  readonly look?: Look;
  /** Headers of columns to leave out on a narrow terminal, the least important first. */
  readonly droppable?: readonly string[];
}

const gap = 2;

/**
 * Columns padded to their widest cell and two spaces between; no boxes, no trailing spaces.
 * Cells come from the network: control characters are replaced, so that a name cannot drive the terminal.
 */
export function table(
  header: readonly string[],
  rows: readonly (readonly string[])[],
  options: TableOptions = {},
): string {
  const look = options.look ?? plain;
  const clean = [header, ...rows].map((row) => row.map(printable));
  const widths = header.map((_, column) => Math.max(...clean.map((row) => textWidth(row[column] ?? ""))));
  const shown = fitting(header, widths, options.droppable ?? [], look.columns);
  return clean.map((row, index) => `${line(row, widths, shown, look.colour && index > 0)}\n`).join("");
}

/** Indexes of the columns that fit. */
function fitting(
  header: readonly string[],
  widths: readonly number[],
  droppable: readonly string[],
  columns: number | undefined,
): number[] {
  let shown = header.map((_, column) => column);
  const total = (): number => shown.reduce((sum, column) => sum + (widths[column] ?? 0) + gap, -gap);
  for (const name of droppable) {
    if (columns === undefined || total() <= columns) break;
    shown = shown.filter((column) => header[column] !== name);
  }
  return shown;
}

function line(
  row: readonly string[],
  widths: readonly number[],
  shown: readonly number[],
  colour: boolean,
): string {
  return shown
    .map((column) => {
      const cell = row[column] ?? "";
      const padded = cell + " ".repeat(Math.max(0, (widths[column] ?? 0) - textWidth(cell)));
      return colour ? stateColour(cell, padded) : padded;
    })
    .join(" ".repeat(gap))
    .trimEnd();
}

/** Text without control and direction-changing characters. */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\u200e\u200f\u202a-\u202e\u2066-\u2069\u2028\u2029]/gu, "�");
}

/** "key: value" lines under a title, as `wg show` prints; entries without a value are left out. */
export function block(title: string, entries: readonly (readonly [string, string | undefined])[]): string {
  const lines = entries.flatMap(([key, value]) =>
    value === undefined || value === "" ? [] : [`  ${key}: ${printable(value)}\n`],
  );
  return `${printable(title)}\n${lines.join("")}`;
}

/** Remarks after the data, so that data lines stay easy to grep. */
export function notes(lines: readonly string[]): string {
  return lines.map((text) => `# ${printable(text)}\n`).join("");
}
