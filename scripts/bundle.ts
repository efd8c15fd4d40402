/**
 * npm run build:ts: puts each program with the packages that it uses into a few files, dist/PROGRAM/main.js and chunks beside it.
 *
 * Why: otherwise a start means to find, read and compile hundreds of small files, most of them of packages, and vpnctl does it for
 * each command (figures: docs/performance.md). What is loaded by `import()` gets chunks of its own, and stays lazy.
 * esbuild leaves out the types unseen; tsc checks them in scripts/check.sh.
 */
import { rmSync, writeFileSync } from "node:fs";
import { build } from "esbuild";
import { licenceTexts } from "./bundle-licences.js";

/** What starts each program. All its files are in one folder, so that a URL such as "./station-thread.js" fits in every chunk. */
const programs = {
  ctl: ["src/ctl/main.ts"],
  daemon: ["src/daemon/app/main.ts", "src/daemon/app/gateway/station-thread.ts"],
  iex: ["src/iex/app/main.ts"],
};

/** Stays in node_modules: compiled code, what one rare command needs, and extras that pg, ws and grpc-js do without. */
const outside = ["bufferutil", "node-dtls-client", "pg-native", "utf-8-validate", "@grpc/proto-loader"];

/** Packages in CommonJS ask for Node's own modules by `require`, which ES modules do not have. */
const requireOfNode =
  'import { createRequire as bundleRequire } from "node:module"; const require = bundleRequire(import.meta.url);';

rmSync("dist", { recursive: true, force: true });
const inputs = new Set<string>();
for (const [program, entryPoints] of Object.entries(programs)) {
  const { metafile } = await build({
    entryPoints,
    outdir: `dist/${program}`,
    entryNames: "[name]",
    chunkNames: "[name]-[hash]",
    bundle: true,
    splitting: true,
    format: "esm",
    platform: "node",
    target: "node20",
    external: outside,
    banner: { js: requireOfNode },
    // Not minified: it would gain nothing that can be measured, and traces of errors stay readable.
    sourcemap: true,
    legalComments: "none",
    metafile: true,
    logLevel: "warning",
  });
  for (const input of Object.keys(metafile.inputs)) inputs.add(input);
}
writeFileSync("dist/third-party-licences.txt", licenceTexts(inputs));
