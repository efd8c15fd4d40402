/**
 * What leaves a host's physical interface, by kind. Counted on the other side of the wire, in the router's queue of the driver,
 * where nothing is missed.
 */
import type { Host, Router } from "./lab.js";
import type { Running } from "./machine.js";

/** By name: a condition of nftables. What none of them matches is `strange`. */
export type Kinds = Readonly<Record<string, string>>;

export interface Leaks {
  packets: Record<string, number>;
  /** Destinations of the strange ones. */
  to: string;
}

/** Counts from now on. @param port of the router that the host is wired to */
export async function watchLeaks(router: Router, port: string, kinds: Kinds): Promise<void> {
  const names = [...Object.keys(kinds), "strange"];
  await router.nft(`
    table netdev watch
    delete table netdev watch
    table netdev watch {
      set to4 { type ipv4_addr; flags dynamic; size 1000; }
      set to6 { type ipv6_addr; flags dynamic; size 1000; }
      ${names.map((name) => `counter n_${name} {}`).join("\n")}
      chain in {
        type filter hook ingress device "${port}" priority -500; policy accept;
        ether type arp accept
        icmpv6 type { nd-router-solicit, nd-neighbor-solicit, nd-neighbor-advert, mld2-listener-report } accept
        udp sport 68 udp dport 67 accept
        ${Object.entries(kinds)
          .map(([name, condition]) => `${condition} counter name n_${name} accept`)
          .join("\n")}
        update @to4 { ip daddr }
        update @to6 { ip6 daddr }
        counter name n_strange
      }
    }`);
}

export async function leaks(router: Router): Promise<Leaks> {
  const { stdout } = await router.exec("nft", ["list", "table", "netdev", "watch"]);
  const packets: Record<string, number> = {};
  for (const [, name = "", count] of stdout.matchAll(/counter n_(\w+) \{\s*packets (\d+)/g)) {
    packets[name] = Number(count);
  }
  const to = [...stdout.matchAll(/elements = \{([^}]*)\}/g)].map((one) => one[1]?.trim()).join(" ");
  return { packets, to };
}

/** Programs that try to get out to these addresses, over and over: pings, look-ups, connections. */
export function tryToGetOut(host: Host, targets: readonly string[]): Running {
  const commands = targets.flatMap((to) => [
    `ping -n -c 1 -W 1 ${to}`,
    `timeout 1 bash -c "echo x >/dev/udp/${to}/53"`,
    `timeout 1 bash -c "echo x >/dev/tcp/${to}/853"`,
  ]);
  const round = commands.map((command) => `${command} &`).join("\n");
  const loop = `while :; do ${round}\nwait; echo round; sleep 0.1; done`;
  return host.spawn("talker", "sh", ["-c", `exec 2>/dev/null; ${loop}`]);
}

/** Waits until a program that prints "round" has tried everything from now on. */
export async function tried(talker: Running): Promise<void> {
  const rounds = (): number => talker.log.match(/^round$/gm)?.length ?? 0;
  // One may have been under way.
  const wanted = rounds() + 2;
  await talker.until(() => rounds() >= wanted, 60_000, "programs have tried to get out");
}
