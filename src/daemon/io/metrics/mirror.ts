import { Counter, type Registry } from "prom-client";

/** A counter whose values are counted elsewhere: read anew at each collection. */
export function mirror<L extends string>(
  name: string,
  help: string,
  labelNames: L[],
  registers: Registry[],
  read: (add: (labels: Record<L, string>, value: number) => void) => void,
): void {
  new Counter<L>({
    name,
    help,
    labelNames,
    registers,
    collect() {
      this.reset();
      read((labels, value) => this.inc(labels, value));
    },
  });
}
