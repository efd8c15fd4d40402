/**
 * `npm run bench -- paper`: the two experiments of the Badger paper, on one machine. Writes its section of docs/performance.md.
 *
 *   --runs N       rounds (5); fewer than 3 leave the page alone
 *   --seconds S    of each TCP stream (8)
 *   --near MS      round trip between the two nodes (10)
 *   --far MS       round trip between a node and the server (100)
 *   --openvpn PATH the star's program, instead of that in PATH
 *   --json         prints the result and leaves the page alone
 */
import process from "node:process";
import { parseArgs } from "node:util";
import { machineLine } from "./limits-page.js";
import { type DirectResult, measureDirect } from "./paper-direct.js";
import { measureStar, type StarResult } from "./paper-star.js";
import { table, writeSection } from "./performance-page.js";
import { median } from "./statistics.js";

interface PaperResult {
  date: string;
  machine: string;
  kernel: string;
  rounds: number;
  seconds: number;
  direct: DirectResult;
  star: StarResult;
}

const roundsForPage = 3;

export async function main(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      runs: { type: "string", default: "5" },
      seconds: { type: "string", default: "8" },
      near: { type: "string", default: "10" },
      far: { type: "string", default: "100" },
      openvpn: { type: "string" },
      json: { type: "boolean", default: false },
    },
  });
  const number = (name: "runs" | "seconds" | "near" | "far") => {
    const value = Number(values[name]);
    if (!(value > 0)) throw new Error(`--${name} must be a number above 0`);
    return value;
  };
  const [rounds, seconds, nearMs, farMs] = [number("runs"), number("seconds"), number("near"), number("far")];
  if (farMs < nearMs / 2) throw new Error("--far must be at least half of --near");
  const say = (text: string) => process.stderr.write(`# ${text}\n`);
  say("direct against mesh, 1 Gbit/s");
  const direct = await measureDirect(rounds, seconds);
  say(`a star against the mesh, ${nearMs} ms and ${farMs} ms`);
  const star = await measureStar({ rounds, seconds, nearMs, farMs, openvpn: values.openvpn });
  const result: PaperResult = { ...machineLine(), rounds, seconds, direct, star };
  if (values.json) {
    process.stdout.write(`${JSON.stringify({ schema: "bench.paper/v1", ...result })}\n`);
    return;
  }
  const text = render(result);
  process.stdout.write(text);
  if (rounds < roundsForPage) {
    say(`docs/performance.md stays as it is: fewer than ${roundsForPage} rounds`);
    return;
  }
  writeSection("paper", text);
  say("written: docs/performance.md");
}

function mega(values: readonly number[]): string {
  return (median(values) / 1e6).toFixed(0);
}

function render({ date, machine, kernel, rounds, seconds, direct, star }: PaperResult): string {
  const rows = star.rows.map(({ name, tcp, ping }) => [name, mega(tcp), (median(ping) * 1000).toFixed(1)]);
  const carried = star.carried === undefined ? "" : ` (${star.carried})`;
  const over =
    star.meshOverStar === undefined
      ? "openvpn is not installed"
      : `${star.meshOverStar.toFixed(1)} times openvpn's star`;
  return `Measured by \`npm run bench -- paper --runs ${rounds} --seconds ${seconds}\` (as root). ${date}, ${machine}, ${kernel}.
One TCP stream, cubic, medians; rounds: ${rounds}, in each of which all take turns.

### Direct against mesh

Each node behind a NAT, 1 Gbit/s. Directly: through a forwarded port. Mesh: no port is forwarded. Of the direct rate the paper's
program had 0.79; headers leave about 0.955.

${table(
  ["", ">Mbit/s", ">of direct"],
  [
    ["direct", mega(direct.direct), "1.000"],
    ["vpnd", mega(direct.mesh), direct.ratio.toFixed(3)],
  ],
)}

### Star against mesh

The nodes are ${star.nearMs} ms (round trip) from each other, ${star.farMs} ms from the server, 1 Gbit/s each. Distance by ${star.delayedBy}${carried}. The routed
star has no VPN in it: the least that any star costs in this place.

${table(["", ">Mbit/s", ">ping ms"], rows)}

The mesh has ${star.meshOverRouted.toFixed(1)} times what is routed through the server, and ${over}. The paper had about 4.3 times ("330 % faster"), with real
distances and openvpn on a small server.
`;
}
