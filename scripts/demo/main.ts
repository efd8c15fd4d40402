/**
 * npm run demo [-- NAME]: vpnd at work, on this machine, with the real programs; without a name the mesh. Every step is checked; the
 * exit code is 1 if any failed. Everything is removed at the end, also after Ctrl-C.
 */
import { Lab } from "../../test/lab/lab.js";
import { mesh } from "./mesh.js";
import { postgres } from "./postgres.js";
import { bold, Demo, dim, green, red, say } from "./stage.js";

const demos: Readonly<Record<string, { title: string; show: (demo: Demo, lab: Lab) => Promise<void> }>> = {
  mesh: { title: "a mesh VPN between two hosts that nobody can reach from outside", show: mesh },
  postgres: {
    title: "two hosts that share nothing but a database, which keeps every packet",
    show: postgres,
  },
};

async function main(name: string): Promise<number> {
  const demoed = Object.hasOwn(demos, name) ? demos[name] : undefined;
  if (demoed === undefined) {
    process.stderr.write(
      `demo: there is no ${JSON.stringify(name)}\nuse: npm run demo -- ${Object.keys(demos).join("|")}\n`,
    );
    return 2;
  }
  say(bold(`\nvpnd demo: ${demoed.title}\n`));
  let lab: Lab;
  try {
    lab = await Lab.create("demo");
  } catch (error) {
    process.stderr.write(`demo: ${error instanceof Error ? error.message : error}\n`);
    return 1;
  }
  const demo = new Demo(lab);
  try {
    await demoed.show(demo, lab);
    say(green(bold(`All steps passed in ${demo.seconds} s.`)));
    return 0;
  } catch (error) {
    lab.markFailed(error);
    say(red(bold("The demo failed.")));
    return 1;
  } finally {
    await lab.close();
    say(dim("Torn down: its namespaces, programs and files are gone."));
  }
}

process.exitCode = await main(process.argv[2] ?? "mesh");
