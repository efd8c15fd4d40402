/** Everybody who can take part here. */
import { type Contestant, findProgram } from "./contestant.js";
import { kernel } from "./kernel.js";
import { nebula } from "./nebula.js";
import { openvpn } from "./openvpn.js";
import { tinc } from "./tinc.js";
import { ourselves } from "./vpnd.js";
import { wireguardGo } from "./wireguard-go.js";

/** Programs that others wrote, for which a path may be given. */
export const others = {
  "wireguard-go": { program: "wireguard-go", make: wireguardGo },
  openvpn: { program: "openvpn", make: openvpn },
  tinc: { program: "tincd", make: tinc },
  nebula: { program: "nebula", make: nebula },
} as const;
export type Other = keyof typeof others;
export const otherNames = Object.keys(others) as Other[];

export interface Field {
  contestants: Contestant[];
  /** Names of those that are not installed. */
  missing: string[];
}

/** @param paths of binaries that the user named; the others are looked for in PATH */
export async function field(paths: Readonly<Partial<Record<Other, string>>>): Promise<Field> {
  const contestants = [...kernel, ...(await ourselves())];
  const missing: string[] = [];
  for (const name of otherNames) {
    const path = findProgram(others[name].program, paths[name]);
    const made = path === undefined ? undefined : await others[name].make(path);
    if (made === undefined) missing.push(name);
    else contestants.push(made);
  }
  return { contestants, missing };
}
