/** All that a network namespace holds, as text, for comparing before and after; and rules of others to stand in the way. */
import { execFileSync } from "node:child_process";

/** Runs a program in a network namespace. @returns its standard output; its failure is an error */
export function inNetns(netns: string, command: string, args: readonly string[], input?: string): string {
  return execFileSync("ip", ["netns", "exec", netns, command, ...args], {
    encoding: "utf8",
    stdio: ["pipe", "pipe", "pipe"],
    ...(input === undefined ? {} : { input }),
  });
}

const views: readonly [string, ...string[]][] = [
  ["ip", "-d", "-o", "link", "show"],
  ["ip", "-o", "addr", "show"],
  ["ip", "-4", "route", "show", "table", "all"],
  ["ip", "-6", "route", "show", "table", "all"],
  ["ip", "-4", "rule", "show"],
  ["ip", "-6", "rule", "show"],
  ["ip", "neigh", "show", "nud", "permanent"],
  ["nft", "-a", "list", "ruleset"],
  ["sh", "-c", "cat /etc/resolv.conf || true"],
  ["iptables-nft-save"],
  ["ip6tables-nft-save"],
  ["sh", "-c", "grep -r . /proc/sys/net/ipv4 /proc/sys/net/ipv6 2>/dev/null | sort"],
];

/**
 * Links, addresses, routes, rules, nftables, iptables and settings. Left out is only what moves by itself (counters, ages, and the
 * queueing discipline that a device keeps once it was up) and what tells of the machine (modules that the kernel has loaded).
 */
export function netState(netns: string): string {
  return views
    .map(([command, ...args]) => `$ ${command} ${args.join(" ")}\n${inNetns(netns, command, args)}`)
    .join("\n")
    .replace(/ (qlen \d+|qdisc \w+)/g, "")
    .replace(/ expires -?\d+sec| (valid|preferred)_lft \w+/g, "")
    .replace(/ \w+_timer +[\d.]+/g, "")
    .replace(/packets \d+ bytes \d+|\[\d+:\d+\]/g, "")
    .replace(/^# (Generated|Completed).*$/gm, "")
    .replace(
      /^\/proc\/sys\/net\/ipv4\/(tcp_fastopen_key|tcp_available_\w+|route\/gc_\w+|ping_group_range):.*$/gm,
      "",
    );
}

/** Lines that only one of two states has. */
export function changed(before: string, now: string): string[] {
  const old = new Set(before.split("\n"));
  const fresh = new Set(now.split("\n"));
  return [
    ...[...fresh].filter((line) => !old.has(line)).map((line) => `+ ${line}`),
    ...[...old].filter((line) => !fresh.has(line)).map((line) => `- ${line}`),
  ];
}

const nftables = `
table inet firewall {
  set blocked { type ipv4_addr; elements = { 192.0.2.66, 192.0.2.67 } }
  chain input {
    type filter hook input priority 0; policy accept;
    ip saddr @blocked counter drop
    tcp dport 25 counter reject
  }
  chain output { type route hook output priority mangle; meta mark 0x9 counter; }
}
table ip6 lonely {
  chain prerouting {
    type nat hook prerouting priority dstnat;
    tcp dport 81 redirect to :8081
  }
}
`;

/**
 * A machine that others have set up already: an nftables firewall, rules of iptables-nft in both families, policy routing with a
 * table of its own, and what a container engine makes (bridge, ports, chains, masquerading).
 */
export function makeForeign(netns: string): void {
  const ip = (...args: string[]) => inNetns(netns, "ip", args);
  const iptables = (...args: string[]) => inNetns(netns, "iptables-nft", ["-w", "5", ...args]);
  inNetns(netns, "nft", ["-f", "-"], nftables);
  // Duplicate address detection would go on for a while.
  inNetns(netns, "sysctl", [
    "-q",
    "-w",
    "net.ipv6.conf.default.accept_dad=0",
    "net.ipv6.conf.default.addr_gen_mode=1",
  ]);
  ip("link", "add", "up0", "type", "veth", "peer", "name", "up0p");
  ip("link", "set", "up0p", "up");
  ip("addr", "add", "192.0.2.10/24", "dev", "up0");
  ip("link", "set", "up0", "up");
  ip("route", "add", "198.18.0.0/15", "via", "192.0.2.1", "metric", "50");
  ip("route", "add", "default", "via", "192.0.2.2", "table", "123");
  ip("route", "add", "blackhole", "203.0.113.0/24", "table", "123");
  ip("rule", "add", "priority", "1000", "from", "192.0.2.128/25", "lookup", "123");
  ip("rule", "add", "priority", "1001", "fwmark", "0x2a", "lookup", "123");
  ip("-6", "rule", "add", "priority", "1002", "fwmark", "0x2a", "lookup", "123");
  ip("link", "add", "docker0", "type", "bridge");
  ip("addr", "add", "172.17.0.1/16", "dev", "docker0");
  ip("link", "add", "vethc1", "type", "veth", "peer", "name", "vethc1p");
  ip("link", "set", "vethc1", "master", "docker0", "up");
  ip("link", "set", "vethc1p", "up");
  ip("link", "set", "docker0", "up");
  for (const chain of ["DOCKER", "DOCKER-USER", "DOCKER-ISOLATION-STAGE-1"]) iptables("-N", chain);
  iptables("-P", "FORWARD", "DROP");
  iptables("-A", "FORWARD", "-j", "DOCKER-USER");
  iptables("-A", "FORWARD", "-j", "DOCKER-ISOLATION-STAGE-1");
  iptables(..."-A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT".split(" "));
  iptables(..."-A FORWARD -o docker0 -j DOCKER".split(" "));
  iptables(
    ..."-A DOCKER -d 172.17.0.2/32 ! -i docker0 -o docker0 -p tcp -m tcp --dport 80 -j ACCEPT".split(" "),
  );
  iptables("-A", "DOCKER-USER", "-j", "RETURN");
  iptables(..."-t nat -A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE".split(" "));
  iptables(
    ..."-t nat -A PREROUTING -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80".split(" "),
  );
  inNetns(netns, "ip6tables-nft", "-A INPUT -p tcp -m tcp --dport 23 -j DROP".split(" "));
  inNetns(netns, "sysctl", ["-q", "-w", "net.ipv6.conf.default.addr_gen_mode=0"]);
  const end = Date.now() + 20_000;
  while (/NO-CARRIER|state (DOWN|learning|listening)/.test(ip("-d", "link", "show", "docker0"))) {
    if (Date.now() > end) throw new Error("the bridge does not come up");
  }
}
