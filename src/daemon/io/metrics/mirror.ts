import { Counter, type Registry } from "prom-client";

/** A counter whose values are counted elsewhere: read anew at each collection. */
export function mirror<L extends string>(
  name: string,
  help: string,
  labelNames: L[],
  registers: Registry[],
  read: (add: (labels: Record<L, string>, value: number) => void) => void | Promise<void>,
): void {
  new Counter<L>({
    name,
    help,
    labelNames,
    registers,
    async collect() {
      const values: [Record<L, string>, number][] = [];
      await read((labels, value) => values.push([labels, value]));
      // All at once, lest another collection at the same time sees half of it, or adds to it.
      this.reset();
      for (const [labels, value] of values) this.inc(labels, value);
    },
  });
}
