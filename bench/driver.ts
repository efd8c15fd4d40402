/** The engine's program without Node (native/driver), which some benches need. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { must } from "../test/lab/command.js";
import { repository } from "../test/lab/lab.js";

/** Path of the program; builds it when it is not there. */
export async function driverProgram(): Promise<string> {
  const program = join(repository, "native/build/driver-plain");
  if (!existsSync(program)) {
    process.stderr.write("# building native/build/driver-plain\n");
    await must("make", ["-C", join(repository, "native"), "driver"], { timeoutMs: 600_000 });
  }
  return program;
}
