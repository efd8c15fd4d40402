import { z } from "zod";

/** When a change of the key takes effect: at SIGHUP, or only when the program starts. */
export type Reload = "live" | "restart";

/** What the schema of a key says beyond its type. */
export interface KeyAbout {
  /** What it is for: one or two sentences. */
  text: string;
  /** Absent for tables. */
  reload?: Reload;
  /** TOML value that is shown where there is no default. */
  example?: string;
}

/** Notes on the schemas of config keys. */
export const about = z.registry<KeyAbout>();

/** A key of a schema as files and documents show it. */
export interface Key extends KeyAbout {
  /** "*" stands for a name that the user chooses. */
  path: readonly string[];
  kind: "value" | "table";
  /** Undefined: none; what happens then is said in `text`. */
  default?: unknown;
}

/** Peels default and optional off a schema. */
function bare(schema: z.core.$ZodType): { inner: z.core.$ZodType; default?: unknown } {
  if (schema instanceof z.ZodDefault)
    return { inner: schema.def.innerType, default: schema.def.defaultValue };
  if (schema instanceof z.ZodPrefault) return bare(schema.def.innerType);
  if (schema instanceof z.ZodOptional) return bare(schema.def.innerType);
  return { inner: schema };
}

/** All keys of a schema in its order, tables before what they hold. */
export function keysOf(schema: z.core.$ZodType, path: readonly string[] = []): Key[] {
  const { inner, default: preset } = bare(schema);
  const note = about.get(schema) ?? about.get(inner) ?? { text: "" };
  const table = path.length === 0 ? [] : [{ path, kind: "table", ...note } as const];
  if (inner instanceof z.ZodObject) {
    const members = Object.entries<z.core.$ZodType>(inner.shape);
    return [...table, ...members.flatMap(([name, member]) => keysOf(member, [...path, name]))];
  }
  if (inner instanceof z.ZodRecord) {
    return keysOf(inner.valueType, [...path, "*"]);
  }
  return [{ path, kind: "value", ...note, ...(preset === undefined ? {} : { default: preset }) }];
}

/** The key that a path of a file means; undefined if there is none. */
export function findKey(keys: readonly Key[], path: readonly string[]): Key | undefined {
  return keys.find(
    (key) =>
      key.path.length === path.length &&
      key.path.every((part, index) => part === "*" || part === path[index]),
  );
}
