import type { CtlCommand, CtlContext } from "./context.js";

type Runner<F, A extends readonly unknown[]> = (this: CtlContext, flags: F, ...args: A) => Promise<void>;

/** A loader for stricli: the command's module is read when it runs, and not before. */
export function lazy<F, A extends readonly unknown[]>(
  load: () => Promise<{ default: CtlCommand<F, A> }>,
): () => Promise<Runner<F, A>> {
  return async () => {
    const { default: command } = await load();
    return async function run(this: CtlContext, flags: F, ...args: A): Promise<void> {
      this.finish(await command(this, flags, ...args));
    };
  };
}
