/** A test file's frame: one lab, built before the first test, closed after the last, logs kept if any test failed. */
import { after, before, describe, it } from "node:test";
import { Lab } from "./lab.js";

export type Step<S> = (title: string, body: (scene: S, lab: Lab) => Promise<void>) => void;

/** Tests run in the order of their definition and share the scene, so a later one may build on an earlier one. */
export function labSuite<S>(
  name: string,
  build: (lab: Lab) => Promise<S>,
  define: (step: Step<S>) => void,
): void {
  describe(name, { timeout: 600_000, concurrency: 1 }, () => {
    let lab: Lab | undefined;
    let scene: { value: S } | undefined;
    before(async () => {
      lab = await Lab.create(name);
      try {
        scene = { value: await build(lab) };
      } catch (error) {
        lab.markFailed(error);
        await lab.close();
        throw error;
      }
    });
    after(async () => lab?.close());
    define((title, body) => {
      it(title, async () => {
        if (lab === undefined || scene === undefined) throw new Error("the scene was not built");
        try {
          await body(scene.value, lab);
        } catch (error) {
          lab.markFailed(error);
          throw error;
        }
      });
    });
  });
}
