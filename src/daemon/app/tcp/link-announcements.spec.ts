import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { encodeAnnouncement } from "../../core/routes/announcement.js";
import { LinkAnnouncements } from "./link-announcements.js";

const offers = (...routes: string[]) => ({ exit: { v4: false, v6: false }, routes });
const key = "aa".repeat(32);

test("what is said is heard at the other end", () => {
  const [near, far] = [new LinkAnnouncements(() => {}), new LinkAnnouncements(() => {})];
  assert.equal(near.message(), undefined, "nothing to say yet");
  assert.equal(near.set(offers("10.1.0.0/24")), true);
  assert.equal(near.set(offers("10.1.0.0/24")), false);
  far.hear(key, near.message() ?? new Uint8Array(0));
  assert.deepEqual(far.heard, { nodeKey: key, what: offers("10.1.0.0/24") });
});

test("an end that changes its mind all the time is heard once a second, and its last word counts", (t) => {
  mock.timers.enable({ apis: ["setTimeout"] });
  t.after(() => mock.timers.reset());
  let changes = 0;
  const link = new LinkAnnouncements(() => {
    changes += 1;
  });
  for (let i = 0; i < 100; i++) link.hear(key, encodeAnnouncement(1n, offers(`10.1.${i}.0/24`)));
  assert.equal(changes, 1);
  assert.deepEqual(link.heard?.what, offers("10.1.0.0/24"));
  mock.timers.tick(1000);
  assert.equal(changes, 2);
  assert.deepEqual(link.heard?.what, offers("10.1.99.0/24"));
});

test("nothing is taken after the end, nor what is no announcement", (t) => {
  mock.timers.enable({ apis: ["setTimeout"] });
  t.after(() => mock.timers.reset());
  const link = new LinkAnnouncements(() => {});
  const routes = () => link.heard?.what.routes;
  link.hear(key, Buffer.from("2001", "hex"));
  assert.equal(routes(), undefined);
  link.hear(key, encodeAnnouncement(1n, offers()));
  link.hear(key, encodeAnnouncement(2n, offers("10.1.0.0/24")));
  link.stop();
  mock.timers.tick(2000);
  assert.deepEqual(routes(), []);
});
