/** The part of JSON Schema 2020-12 that docs/schema uses; an unknown keyword is an error. */
export interface Schema {
  readonly $schema?: string;
  readonly title?: string;
  readonly type?: string;
  readonly format?: string;
  readonly minimum?: number;
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: false | Schema;
  readonly items?: Schema;
}

const known = new Set(
  "$schema title type format minimum const enum properties required additionalProperties items".split(" "),
);

/** What is wrong with the value, a line each; empty if it fits. */
export function mismatches(schema: Schema, value: unknown, at = "$"): string[] {
  const found = Object.keys(schema)
    .filter((keyword) => !known.has(keyword))
    .map((keyword) => `${at}: the schema has the unknown keyword ${keyword}`);
  const wrong = (what: string): void => void found.push(`${at}: ${what}, but is ${JSON.stringify(value)}`);
  if (schema.const !== undefined && value !== schema.const) wrong(`must be ${String(schema.const)}`);
  if (schema.enum !== undefined && !schema.enum.includes(value))
    wrong(`must be one of ${schema.enum.join()}`);
  if (schema.type !== undefined && !hasType(schema.type, value)) wrong(`must be ${schema.type}`);
  if (schema.minimum !== undefined && typeof value === "number" && value < schema.minimum)
    wrong("is too small");
  if (schema.format === "date-time" && !/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/.test(String(value)))
    wrong("must be a time");
  if (Array.isArray(value) && schema.items !== undefined) {
    for (const [index, item] of value.entries())
      found.push(...mismatches(schema.items, item, `${at}[${index}]`));
  }
  if (typeof value === "object" && value !== null && !Array.isArray(value)) {
    for (const name of schema.required ?? []) if (!Object.hasOwn(value, name)) wrong(`must have ${name}`);
    for (const [name, member] of Object.entries(value)) {
      const inner = schema.properties?.[name] ?? schema.additionalProperties;
      if (inner === false) found.push(`${at}: has the unexpected member ${name}`);
      else if (inner !== undefined) found.push(...mismatches(inner, member, `${at}.${name}`));
    }
  }
  return found;
}

function hasType(type: string, value: unknown): boolean {
  switch (type) {
    case "object":
      return typeof value === "object" && value !== null && !Array.isArray(value);
    case "array":
      return Array.isArray(value);
    case "integer":
      return Number.isInteger(value);
    default:
      return typeof value === type;
  }
}
