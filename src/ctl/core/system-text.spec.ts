import assert from "node:assert/strict";
import { test } from "node:test";
import { create } from "@bufbuild/protobuf";
import { NetworkPlanSchema, TraceSchema } from "../../common/gen/vpnd/v1/system_pb.js";
import { footprintText, plansText } from "./system-text.js";

const step = (state: string, description: string) => ({ kind: "x", state, description, undo: "undo it" });

test("a plan has its steps in order, and says how to repair what somebody undid", () => {
  const plan = create(NetworkPlanSchema, {
    network: "home",
    state: "up",
    steps: [step("applied", "create device vpn-home (tun)"), step("missing", "add address 10.0.0.1/16")],
  });
  assert.deepEqual(plansText([plan]).split("\n"), [
    "network: home (up)",
    "STEP  STATE    CHANGE                        UNDO",
    "1     applied  create device vpn-home (tun)  undo it",
    "2     missing  add address 10.0.0.1/16       undo it",
    "# somebody undid what is missing; to repair it: vpnctl down home; vpnctl up home",
    "",
  ]);
});

test("what is in the way is said instead of a plan", () => {
  const obstacle = { code: "conflict", message: "device vpn-lab exists already" };
  const plan = create(NetworkPlanSchema, { network: "lab", state: "error", obstacle });
  assert.equal(
    plansText([plan]),
    "network: lab (error)\n# it cannot come up: conflict: device vpn-lab exists already\n",
  );
  assert.match(plansText([]), /^# no networks/);
});

test("a footprint marks what is gone, and counts files that did not fit", () => {
  const traces = [
    create(TraceSchema, { kind: "device", name: "vpn-home", network: "home", present: true }),
    create(TraceSchema, { kind: "socket", name: "unix /s", present: false }),
  ];
  assert.equal(
    footprintText(traces, 3),
    "KIND    NAME      NETWORK  THERE  DETAIL\n" +
      "device  vpn-home  home     yes\n" +
      "socket  unix /s   -        no\n" +
      "# what is not there was removed by somebody else\n" +
      "# and 3 more files\n",
  );
});
