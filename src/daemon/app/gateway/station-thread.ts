/** A station in a thread of its own: what `ThreadStation` starts. */
import { parentPort, workerData } from "node:worker_threads";
import { createPortHub } from "../../io/gateway/hub.js";
import { closeFd } from "../../io/native.js";
import { PortCalls } from "../../io/port-calls.js";
import { Station } from "./station.js";
import type { ControlCalls, StationSetup } from "./station-calls.js";

if (parentPort === null) throw new Error("this is for a thread, not for a process");
const station: Station = new Station(
  workerData as StationSetup,
  { createPortHub, closeFd },
  {
    admit: (knock) => control.call("admit", knock),
    ended: (id, reason, kept) => control.tell("ended", id, reason, kept),
    refused: (why) => control.tell("refused", why),
  },
);
const control: PortCalls<ControlCalls> = new PortCalls<ControlCalls>(parentPort, station);
