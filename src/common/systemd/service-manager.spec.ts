import assert from "node:assert/strict";
import { test } from "node:test";
import { pino } from "pino";
import { VpnError } from "../errors.js";
import { type ServiceLinks, ServiceManager } from "./service-manager.js";

const pid = 42;
const watched = { NOTIFY_SOCKET: "/run/notify", WATCHDOG_USEC: "3000000", WATCHDOG_PID: "42" };

/** What was sent, announcements marked with ">". */
function scene(env: Record<string, string>, links: Partial<ServiceLinks> = {}) {
  const sent: string[] = [];
  const logged: string[] = [];
  const log = pino({ level: "trace" }, { write: (line: string) => logged.push(JSON.parse(line).msg) });
  const service = new ServiceManager(
    env,
    pid,
    {
      announce: async ({ ready, status }) => sent.push(`> ${ready ? "READY " : ""}${status}`),
      datagram: (socket, message, fd) =>
        sent.push(`${socket} ${message.replace(/\d{5,}/, "N")}${fd === undefined ? "" : ` +${fd}`}`),
      ...links,
    },
    log,
  );
  return { service, sent, logged };
}

test("without NOTIFY_SOCKET nothing is sent, and nothing fails", async () => {
  const { service, sent, logged } = scene({ WATCHDOG_USEC: "1000", NOTIFY_SOCKET: "" });
  await service.ready("x");
  service.status("y");
  service.reloading();
  service.reloaded();
  service.watch(() => assert.fail("asked"));
  service.store("tun", 3);
  service.unstore("tun");
  service.stopping();
  assert.deepEqual([sent, logged], [[], []]);
});

test("an address of another kind is told once and left alone", async () => {
  const { service, sent, logged } = scene({ NOTIFY_SOCKET: "vsock:2:9999" });
  await service.ready("x");
  assert.equal(sent.length, 0);
  assert.equal(logged.length, 1);
});

test("READY and STATUS go by the package, in order; the rest directly", async () => {
  const { service, sent } = scene(watched);
  await service.ready("no network joined");
  service.status("no network joined");
  service.status("1 of 1 network up");
  await service.ready("again");
  service.reloading();
  service.reloaded();
  service.store("tun-default", 5);
  service.unstore("tun-default");
  service.stopping();
  service.status("too late");
  assert.deepEqual(sent, [
    "> READY no network joined",
    "> 1 of 1 network up",
    "> READY again",
    "/run/notify RELOADING=1\nMONOTONIC_USEC=N",
    "/run/notify READY=1",
    "/run/notify FDSTORE=1\nFDNAME=tun-default +5",
    "/run/notify FDSTOREREMOVE=1\nFDNAME=tun-default",
    "/run/notify STOPPING=1",
  ]);
});

test("where systemd-notify does not work, READY and STATUS go directly", async () => {
  const announce = async () => {
    throw new Error("spawn systemd-notify ENOENT");
  };
  const { service, sent, logged } = scene(watched, { announce });
  await service.ready("fine");
  assert.deepEqual(sent, ["/run/notify READY=1\nSTATUS=fine"]);
  assert.equal(logged.length, 1);
});

test("signs of life come from a timer, and only while everything answers", (t) => {
  t.mock.timers.enable({ apis: ["setInterval"] });
  const { service, sent, logged } = scene(watched);
  const answers = [true, false, false, true];
  service.watch(() => answers.shift() ?? true);
  const counts = [sent.length];
  for (let beat = 0; beat < 4; beat += 1) {
    t.mock.timers.tick(1000);
    counts.push(sent.length);
  }
  assert.deepEqual(counts, [1, 2, 2, 2, 3]);
  assert.ok(sent.every((message) => message === "/run/notify WATCHDOG=1"));
  assert.equal(logged.length, 2, "one line when it begins, one when it is over");
  service.stopping();
  t.mock.timers.tick(5000);
  assert.equal(sent.length, 4, "only STOPPING after that");
});

test("a process that the watchdog does not watch is asked nothing", (t) => {
  t.mock.timers.enable({ apis: ["setInterval"] });
  const { service, sent } = scene({ ...watched, WATCHDOG_PID: "7" });
  service.watch(() => assert.fail("asked"));
  t.mock.timers.tick(10_000);
  assert.deepEqual(sent, []);
});

test("a socket that refuses is logged; a missing addon is an error", () => {
  const refused = scene(watched, {
    datagram: () => {
      throw Object.assign(new Error("sendmsg"), { code: "ECONNREFUSED" });
    },
  });
  refused.service.stopping();
  assert.equal(refused.logged.length, 1);
  const without = scene(watched, {
    datagram: () => {
      throw new VpnError("failed", "cannot load the native addon");
    },
  });
  assert.throws(() => without.service.watch(() => true), VpnError);
});
