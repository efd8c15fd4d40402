import assert from "node:assert/strict";
import { test } from "node:test";
import { announcementOf } from "./offered.js";

const both = ["10.91.0.2/30", "fd76:706e:6477::1/127"];

test("a gateway carries the Internet in the families that it gave addresses of", () => {
  const routes = ["0.0.0.0/0", "::/0"];
  assert.deepEqual(announcementOf({ addresses: both, routes }).exit, { v4: true, v6: true });
  assert.deepEqual(announcementOf({ addresses: ["10.91.0.2/30"], routes }).exit, { v4: true, v6: false });
  assert.deepEqual(announcementOf({ addresses: both, routes: ["192.0.2.0/24"] }).exit, {
    v4: false,
    v6: false,
  });
});

test("what is no subnet is not offered", () => {
  const routes = ["0.0.0.0/0", "172.20.0.0/16", "0.0.0.0/1", "127.0.0.0/8", "172.20.0.1/16", "fd00:9::/64"];
  assert.deepEqual(announcementOf({ addresses: both, routes }).routes, ["172.20.0.0/16", "fd00:9::/64"]);
});
