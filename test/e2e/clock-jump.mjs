// Preloaded into a program under test: its wall clock is off by as many milliseconds as the file VPND_TEST_CLOCK says.
import { readFileSync } from "node:fs";

const RealDate = Date;
const offset = () => {
  try {
    return Number(readFileSync(process.env.VPND_TEST_CLOCK, "utf8"));
  } catch {
    return 0;
  }
};
globalThis.Date = class extends RealDate {
  constructor(...args) {
    if (args.length === 0) super(RealDate.now() + offset());
    else super(...args);
  }
  static now() {
    return RealDate.now() + offset();
  }
};
