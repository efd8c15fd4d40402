/** Packets that a gateway let out of its clients' devices though it should not have. */
import type { Host } from "./lab.js";

const table = "inet lab-strays";
const closed =
  "0.0.0.0/8, 10.0.0.0/8, 100.64.0.0/10, 127.0.0.0/8, 169.254.0.0/16, 192.168.0.0/16, 224.0.0.0/3";
const rules = `table ${table} {
  chain prerouting {
    type filter hook prerouting priority -350; policy accept;
    iifname "vpngw-*" counter comment "all"
    iifname "vpngw-*" ip saddr != 10.91.0.0/16 counter comment "stray"
    iifname "vpngw-*" ip saddr 10.91.255.1 counter comment "stray"
    iifname "vpngw-*" ip6 saddr != fd76:706e:6477::/112 counter comment "stray"
    iifname "vpngw-*" ip daddr { ${closed} } counter comment "stray"
    iifname "vpngw-*" ip6 daddr { fc00::/7, fe80::/10, ff00::/8, ::/8 } counter comment "stray"
  }
}`;

/** Counts from now on. */
export async function watchStrays(gateway: Host): Promise<void> {
  const { code, stderr } = await gateway.exec("nft", [rules]);
  if (code !== 0) throw new Error(stderr);
}

/** Counts no more. @returns how many packets came in all, and how many of them should not have */
export async function strays(gateway: Host): Promise<{ all: number; stray: number }> {
  const { stdout } = await gateway.exec("nft", ["list", "table", ...table.split(" ")]);
  await gateway.exec("nft", ["delete", "table", ...table.split(" ")]);
  const count = (what: string): number =>
    [...stdout.matchAll(new RegExp(`packets (\\d+) bytes \\d+ comment "${what}"`, "g"))].reduce(
      (sum, [, packets]) => sum + Number(packets),
      0,
    );
  return { all: count("all"), stray: count("stray") };
}
