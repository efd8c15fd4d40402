import assert from "node:assert/strict";
import { test } from "node:test";
import { defaultSubnets } from "./addresses.js";
import { refuseTakenSubnets } from "./free-subnets.js";

const local = (prefix: string, device = "eth0") => [
  { prefix, device, what: `address ${prefix} of ${device}` },
];

test("clients' subnets are nobody else's", () => {
  refuseTakenSubnets(defaultSubnets, local("10.90.0.1/16"));
  refuseTakenSubnets(defaultSubnets, local("10.91.0.1/30", "vpngw-0"));
  refuseTakenSubnets(defaultSubnets, local("10.0.0.0/8", ""));
  for (const prefix of ["10.0.0.0/8", "10.91.7.1/24", "fd76:706e:6477::5/128"])
    assert.throws(() => refuseTakenSubnets(defaultSubnets, local(prefix)), /overlaps the address .* of eth0/);
});
