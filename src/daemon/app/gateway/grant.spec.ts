import assert from "node:assert/strict";
import { test } from "node:test";
import { routesOf } from "./grant.js";

const client = ["10.91.0.2/30", "fd76:706e:6477::1/127"];

test("clients are told what is carried, and nothing that goes nowhere", () => {
  const internet = { options: { internet: true } };
  assert.deepEqual(routesOf({ ...internet, six: true }, client), ["0.0.0.0/0", "::/0"]);
  assert.deepEqual(routesOf({ ...internet, six: false }, client), ["0.0.0.0/0"]);
  assert.deepEqual(routesOf({ ...internet, six: true }, client.slice(0, 1)), ["0.0.0.0/0"]);
  const into = ["10.20.0.0/16"];
  assert.deepEqual(routesOf({ options: { internet: false }, into, six: true }, client), into);
});
