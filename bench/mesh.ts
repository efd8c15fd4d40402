/**
 * `npm run bench -- mesh`: VPNs side by side, in turn within each round, each time on a fresh pair of hosts.
 *
 *   --runs N        rounds (5)
 *   --seconds S     of each test (4)
 *   --peers LIST    only these, by name (all that are installed)
 *   --link LIST     of veth, nooffload, gro, 1g (veth,nooffload,1g)
 *   --tests LIST    of tcp, tcpBack, tcp4, smallPackets, ping (all on veth; tcp and tcpBack on the others)
 *   --wireguard-go, --openvpn, --tinc, --nebula PATH   binaries to take instead of those in PATH
 *   --noise PERCENT of the machine's time that others may have in a clean run (6); noisy ones are repeated, at most twice
 *   --out FILE      every run as JSON, also after Ctrl-C
 *   --from FILE     measures nothing, takes such a file
 *   --json          prints the result and leaves docs/performance.md alone; so do fewer than 3 rounds
 */
import { readFileSync, writeFileSync } from "node:fs";
import process from "node:process";
import { parseArgs } from "node:util";
import { field, type Other, otherNames } from "./contestants/all.js";
import type { Contestant } from "./contestants/contestant.js";
import { machineLine } from "./limits-page.js";
import { type MeshResult, meshText, writeMeshPage } from "./mesh-page.js";
import { type MeshRun, verdicts } from "./mesh-results.js";
import { runOnce, type Test, tests } from "./mesh-run.js";
import { type LinkKind, linkKinds } from "./pair.js";

const say = (text: string) => process.stderr.write(`# ${text}\n`);
const repeats = 2;
const roundsForPage = 3;

function oneOf<T extends string>(allowed: readonly T[], list: string, option: string): T[] {
  return list.split(",").map((word) => {
    const found = allowed.find((one) => one === word);
    if (found === undefined) throw new Error(`--${option}: ${word} is none of ${allowed.join(", ")}`);
    return found;
  });
}

function positive(text: string, option: string): number {
  const value = Number(text);
  if (!(value > 0)) throw new Error(`--${option} must be a number above 0`);
  return value;
}

export async function main(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      runs: { type: "string", default: "5" },
      seconds: { type: "string", default: "4" },
      peers: { type: "string" },
      link: { type: "string", default: "veth,nooffload,1g" },
      tests: { type: "string" },
      noise: { type: "string", default: "6" },
      out: { type: "string" },
      from: { type: "string" },
      json: { type: "boolean", default: false },
      "wireguard-go": { type: "string" },
      openvpn: { type: "string" },
      tinc: { type: "string" },
      nebula: { type: "string" },
    },
  });
  const rounds = Math.round(positive(values.runs, "runs"));
  const result =
    values.from === undefined
      ? await measureAll(rounds, values)
      : (JSON.parse(readFileSync(values.from, "utf8")) as MeshResult);
  if (result.schema !== "bench.mesh/v1")
    throw new Error("--from takes what --out or --json of this bench wrote");
  if (values.json) {
    process.stdout.write(`${JSON.stringify(result)}\n`);
    return;
  }
  process.stdout.write(meshText(result));
  if (result.rounds < roundsForPage) {
    say(`docs/performance.md stays as it is: fewer than ${roundsForPage} rounds`);
    return;
  }
  writeMeshPage(result);
  say("written: docs/performance.md, docs/plots");
}

interface Wishes extends Partial<Record<Other, string>> {
  seconds: string;
  peers?: string | undefined;
  link: string;
  tests?: string | undefined;
  noise: string;
  out?: string | undefined;
}

async function measureAll(rounds: number, wishes: Wishes): Promise<MeshResult> {
  const links = oneOf(linkKinds, wishes.link, "link");
  const seconds = positive(wishes.seconds, "seconds");
  const noiseLimit = positive(wishes.noise, "noise") / 100;
  const paths: Partial<Record<Other, string>> = {};
  for (const name of otherNames) {
    const path = wishes[name];
    if (path !== undefined) paths[name] = path;
  }
  const { contestants, missing } = await field(paths);
  const known = contestants.map(({ name }) => name);
  const wanted = wishes.peers === undefined ? known : oneOf([...known, ...missing], wishes.peers, "peers");
  const taking = contestants.filter(({ name }) => wanted.includes(name));
  const absent = missing.filter((name) => wanted.includes(name));
  if (absent.length > 0) say(`not installed: ${absent.join(", ")}`);
  const result: MeshResult = {
    schema: "bench.mesh/v1",
    ...machineLine(),
    rounds,
    seconds,
    noiseLimit,
    versions: Object.fromEntries(taking.map(({ name, version }) => [name, version])),
    missing: absent,
    failed: {},
    runs: [],
    verdicts: [],
  };
  const keep = (run: MeshRun) => {
    result.runs.push(run);
    result.verdicts = verdicts(result.runs);
    if (wishes.out !== undefined) writeFileSync(wishes.out, `${JSON.stringify(result)}\n`);
  };
  for (const link of links) {
    const chosen: readonly Test[] =
      wishes.tests !== undefined ? oneOf(tests, wishes.tests, "tests") : testsOn(link);
    await measureLink(link, taking, result, { rounds, seconds, tests: chosen, noiseLimit }, keep);
  }
  return result;
}

function testsOn(link: LinkKind): readonly Test[] {
  return link === "veth" ? tests : ["tcp", "tcpBack"];
}

async function measureLink(
  link: LinkKind,
  all: readonly Contestant[],
  { failed }: MeshResult,
  options: { rounds: number; seconds: number; tests: readonly Test[]; noiseLimit: number },
  keep: (run: MeshRun) => void,
): Promise<void> {
  const here = all.filter((one) => one.link === undefined || link === "veth");
  for (let round = 0; round < options.rounds; round++) {
    for (let index = 0; index < here.length; index++) {
      // Each round begins with another one, so that nobody always follows the same.
      const contestant = here[(index + round) % here.length];
      if (contestant === undefined || failed[contestant.name] !== undefined) continue;
      for (let attempt = 0; attempt <= repeats; attempt++) {
        try {
          const run = await runOnce(contestant, { ...options, link, round });
          keep(run);
          say(`${link} round ${round + 1}/${options.rounds} ${contestant.name}: ${described(run)}`);
          if (run.clean) break;
        } catch (error) {
          const why = error instanceof Error ? error.message : String(error);
          say(`${link} ${contestant.name} does not come up: ${why}`);
          if (attempt === repeats) failed[contestant.name] = why.split("\n").slice(0, 2).join("; ");
        }
      }
    }
  }
}

function described({ values, noise, clean, errors }: MeshRun): string {
  const numbers = Object.entries(values).map(([name, value]) => `${name} ${Number(value.toPrecision(4))}`);
  const part = ((noise.steal + noise.others) * 100).toFixed(0);
  return [...numbers, ...errors, clean ? "" : `(noisy: ${part} %)`].filter((text) => text !== "").join(", ");
}
