/**
 * Buffers that carry traffic live for a moment, but V8 frees them only when its own small objects fill the young generation, or
 * when outside memory has grown so far that it looks at the whole heap, again and again: half of a link's time. So it is told earlier.
 */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

type Collect = (options: { type: "minor" }) => void;

/** So many bytes may be garbage before the young generation is collected, which takes a fraction of a millisecond. */
const mostBytes = 16 << 20;

let collect: Collect | undefined;
let garbage = 0;

/** These bytes of buffers are not needed any more. */
export function dropped(bytes: number): void {
  garbage += bytes;
  if (garbage < mostBytes) return;
  garbage = 0;
  collect ??= collector();
  collect({ type: "minor" });
}

function collector(): Collect {
  setFlagsFromString("--expose-gc");
  const found: unknown = runInNewContext("gc");
  setFlagsFromString("--no-expose-gc");
  return isCollect(found) ? found : () => {};
}

const isCollect = (value: unknown): value is Collect => typeof value === "function";
