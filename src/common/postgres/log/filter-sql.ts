import type { Filter, Side } from "./filter.js";

/** A condition in SQL; values are in `parameters` and nowhere else. */
export interface Condition {
  sql: string;
  parameters: string[];
}

/** Gives a value its number. */
type Bind = (value: string | number, type: "inet" | "integer") => string;

/**
 * A condition on the columns of `vpnd.log`. What a row has no column for is not true of it, nor is its opposite false.
 * @param first number of the first parameter
 */
export function filterSql(filter: Filter, first: number): Condition {
  const parameters: string[] = [];
  const bind: Bind = (value, type) => {
    parameters.push(String(value));
    return `$${first + parameters.length - 1}::${type}`;
  };
  return { sql: write(filter, bind), parameters };
}

function write(filter: Filter, bind: Bind): string {
  switch (filter.kind) {
    case "and":
    case "or":
      return `(${filter.of.map((one) => write(one, bind)).join(filter.kind === "and" ? " AND " : " OR ")})`;
    case "not":
      return `(${write(filter.of, bind)} IS NOT TRUE)`;
    case "host":
      return onSide(filter.side, "source", "destination", (column) => {
        return `${column} = ${bind(filter.address, "inet")}`;
      });
    case "net":
      return onSide(filter.side, "source", "destination", (column) => {
        return `${column} <<= ${bind(filter.cidr, "inet")}`;
      });
    case "ports":
      return onSide(filter.side, "source_port", "destination_port", (column) => ports(column, filter, bind));
    case "protocol":
      return `protocol = ${bind(filter.protocol, "integer")}`;
    case "version":
      return `version = ${bind(filter.version, "integer")}`;
  }
}

function ports(column: string, { from, to }: { from: number; to: number }, bind: Bind): string {
  if (from === to) return `${column} = ${bind(from, "integer")}`;
  return `${column} BETWEEN ${bind(from, "integer")} AND ${bind(to, "integer")}`;
}

function onSide(side: Side, source: string, destination: string, write: (column: string) => string): string {
  if (side !== "either") return write(side === "source" ? source : destination);
  return `(${write(source)} OR ${write(destination)})`;
}
