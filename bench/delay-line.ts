/** Distance between hosts of a lab: netem where the kernel has it, else a process that holds frames for a while. */
import { must, run } from "../test/lab/command.js";
import type { Host, Lab } from "../test/lab/lab.js";
import type { Running } from "../test/lab/machine.js";
import { driverProgram } from "./driver.js";

export interface Distance {
  host: Host;
  /** One way, between the host and the public segment. */
  ms: number;
}

export interface Delays {
  /** What delays. */
  by: "netem" | "a process";
  /** What the process carried and lost; absent with netem. Ends it. */
  end(): Promise<string | undefined>;
}

/** Whether this kernel can delay by itself. */
async function hasNetem(host: Host): Promise<boolean> {
  const where = ["-n", host.netns, "qdisc"];
  const tried = await run("tc", [...where, "add", "dev", "lo", "root", "netem", "delay", "1ms"]);
  if (tried.code === 0) await must("tc", [...where, "del", "dev", "lo", "root"]);
  return tried.code === 0;
}

/** Public hosts only. What a host sends leaves it at once, whatever shapes it: the distance begins behind its device. */
export async function putAway(lab: Lab, distances: readonly Distance[]): Promise<Delays> {
  const [first] = distances;
  if (first === undefined) throw new Error("nobody is to be put away");
  const places = await Promise.all(distances.map(async ({ host, ms }) => ({ port: await portOf(host), ms })));
  const { netns } = lab.internet;
  if (await hasNetem(first.host)) {
    // The host's own device may be shaped, so that all its distance is on what comes to it.
    for (const { port, ms } of places) {
      const kind = ["netem", "delay", `${2 * ms}ms`, "limit", "100000"];
      await must("tc", ["-n", netns, "qdisc", "add", "dev", port, "root", ...kind]);
    }
    return { by: "netem", end: () => Promise.resolve(undefined) };
  }
  const lines: string[] = [];
  for (const { port, ms } of places) {
    // The host's port leaves the bridge; frames go through the process to a port that stands in for it.
    const [outer, inner] = [`${port}o`, `${port}i`];
    await lab.internet.ip("link", "set", port, "nomaster");
    await lab.internet.ip("link", "add", outer, "type", "veth", "peer", "name", inner);
    for (const device of [port, outer, inner]) {
      await lab.internet.sysctl(`net.ipv6.conf.${device}.disable_ipv6`, "1");
      // The namespace has addresses, for which it would answer on every device.
      await lab.internet.sysctl(`net.ipv4.conf.${device}.arp_ignore`, "8");
    }
    await lab.internet.ip("link", "set", inner, "master", "br0", "up");
    await lab.internet.ip("link", "set", outer, "up");
    lines.push(port, outer, String(ms));
  }
  const program: Running = lab.internet.spawn("delay", await driverProgram(), ["--delay", ...lines]);
  await program.until(() => program.log.includes("ready"), 10_000, "the long cable is there");
  return {
    by: "a process",
    async end() {
      await program.stop();
      return /\d+ frames.*/.exec(program.log)?.[0];
    },
  };
}

/** Name of the far end, in the middle of the lab, of the host's cable. */
async function portOf(host: Host): Promise<string> {
  const number = host.address.split(".").at(-1);
  if (!host.address.startsWith("203.0.113.") || number === undefined)
    throw new Error(`${host.name} is not on the public segment`);
  return `w${number}`;
}
