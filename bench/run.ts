/** `npm run bench -- NAME [OPTIONS]`: runs one of the benchmarks; all need root and a build. */
import process from "node:process";

const benches: Readonly<Record<string, () => Promise<{ main(args: readonly string[]): Promise<void> }>>> = {
  gateway: () => import("./gateway.js"),
  "gateway-abuse": () => import("./gateway-abuse.js"),
  "gateway-fanqiang": () => import("./gateway-fanqiang.js"),
  limits: () => import("./limits.js"),
  mesh: () => import("./mesh.js"),
  micro: () => import("./micro.js"),
  paper: () => import("./paper.js"),
  postgres: () => import("./postgres.js"),
  "postgres-log": () => import("./postgres-log.js"),
  "postgres-notify": () => import("./postgres-notify.js"),
  "postgres-rows": () => import("./postgres-rows.js"),
  port: () => import("./port.js"),
  profile: () => import("./profile.js"),
  soak: () => import("./soak.js"),
  tcp: () => import("./tcp.js"),
};

async function run([name = "", ...args]: readonly string[]): Promise<number> {
  const load = Object.hasOwn(benches, name) ? benches[name] : undefined;
  if (load === undefined) {
    process.stderr.write(
      `bench: ${name === "" ? "no benchmark named" : `no benchmark ${JSON.stringify(name)}`}\n`,
    );
    process.stderr.write(`use: npm run bench -- ${Object.keys(benches).join("|")}\n`);
    return 2;
  }
  if (process.getuid?.() !== 0) {
    process.stderr.write("bench: benchmarks make network namespaces and need root\n");
    process.stderr.write(`use: sudo -E npm run bench -- ${name}\n`);
    return 4;
  }
  try {
    await (await load()).main(args);
    return 0;
  } catch (error) {
    process.stderr.write(`bench: ${error instanceof Error ? error.message : String(error)}\n`);
    process.stderr.write("options are in the head of its file; a benchmark needs a build: npm run build\n");
    return 1;
  }
}

process.exitCode = await run(process.argv.slice(2));
