/** The root file system of containers: Debian with systemd and this machine's Node, made once and cached. */

import { createHash } from "node:crypto";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { must, run } from "../command.js";

/** Outside the checkout: it outlives one, and holds device files. */
export const cacheFolder = "/var/cache/vpnd-test";

const suite = "trixie";
const packages = [
  "systemd",
  "systemd-sysv",
  "systemd-resolved",
  "dbus",
  "iproute2",
  "nftables",
  "iputils-ping",
  "procps",
  "libstdc++6",
  "ca-certificates",
];
/** Changes whenever what is done to the tree afterwards does. */
const edition = 2;

const masked = [
  "apt-daily.timer",
  "apt-daily-upgrade.timer",
  "console-getty.service",
  "systemd-networkd-wait-online.service",
];

/** What the machine must have; the error says how to get it. */
async function requireTools(): Promise<void> {
  const missing: string[] = [];
  for (const [tool, from] of [
    ["systemd-nspawn", "systemd-container"],
    ["mmdebstrap", "mmdebstrap"],
  ] as const) {
    if ((await run("which", [tool])).code !== 0) missing.push(from);
  }
  if (missing.length === 0) return;
  throw new Error(
    `this test boots a real systemd, and the packages for that are missing\nrun: apt-get install ${missing.join(" ")}`,
  );
}

/** The mirror that the machine itself uses. */
function mirror(): string {
  for (const file of ["/etc/apt/sources.list.d/debian.sources", "/etc/apt/sources.list"]) {
    if (!existsSync(file)) continue;
    const text = readFileSync(file, "utf8");
    const found = /^URIs:\s*(\S+)/m.exec(text)?.[1] ?? /^deb\s+(?:\[[^\]]*\]\s*)?(\S+)/m.exec(text)?.[1];
    if (found !== undefined) return found;
  }
  throw new Error("no Debian mirror in /etc/apt\nadd one to /etc/apt/sources.list");
}

/** Its path; made in half a minute unless it is there. Never write to it: containers put an overlay on top. */
export async function rootfs(): Promise<string> {
  await requireTools();
  const key = JSON.stringify([edition, suite, packages, process.version]);
  const root = join(
    cacheFolder,
    `rootfs-${suite}-${createHash("sha256").update(key).digest("hex").slice(0, 12)}`,
  );
  mkdirSync(cacheFolder, { recursive: true, mode: 0o755 });
  if (existsSync(root)) return root;
  const work = `${root}.${process.pid}`;
  try {
    await build(work);
    // Another run may have been faster; both are the same.
    if (!existsSync(root)) renameSync(work, root);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return root;
}

async function build(root: string): Promise<void> {
  await must(
    "mmdebstrap",
    [
      "--quiet",
      "--variant=minbase",
      `--include=${packages.join(",")}`,
      "--dpkgopt=path-exclude=/usr/share/doc/*",
      "--dpkgopt=path-exclude=/usr/share/locale/*",
      suite,
      root,
      mirror(),
    ],
    { timeoutMs: 600_000 },
  );
  const at = (path: string): string => join(root, path);
  for (const file of ["etc/dpkg/dpkg.cfg.d/99mmdebstrap", "etc/resolv.conf", "etc/hostname"]) {
    rmSync(at(file), { force: true });
  }
  writeFileSync(at("etc/machine-id"), "");
  for (const unit of masked) await must("ln", ["-sfn", "/dev/null", at(`etc/systemd/system/${unit}`)]);
  // There for the test that starts it.
  await must("systemctl", ["--root", root, "disable", "systemd-resolved.service"]);
  mkdirSync(at("etc/systemd/journald.conf.d"), { recursive: true });
  writeFileSync(
    at("etc/systemd/journald.conf.d/test.conf"),
    "[Journal]\nStorage=volatile\nRateLimitIntervalSec=0\nAudit=no\n",
  );
  copyFileSync(process.execPath, at("usr/bin/node"));
  await must("chroot", [root, "node", "--version"]);
}
