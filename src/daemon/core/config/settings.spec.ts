import assert from "node:assert/strict";
import { test } from "node:test";
import { readToml } from "../../../common/config/layer.js";
import { threadsFor } from "../engine.js";
import { evaluateSettings } from "./settings.js";

const network = (name: string, vip: string, more = ""): string =>
  `[network.${name}]\niex = ["h.example:1"]\nvip = "${vip}"\npsk_file = "/k"\n${more}\n`;
const evaluate = (text: string) => evaluateSettings(readToml("f", text).entries);
const problems = (text: string): string[] =>
  evaluate(text).problems.map(({ origin, message, hint }) => `${origin.line}: ${message} (${hint})`);

test("without files the defaults hold", () => {
  assert.deepEqual(evaluate("").settings, {
    stateDir: "/var/lib/vpnd",
    socket: "/run/vpnd/vpnd.sock",
    group: "vpnd",
    groupGiven: false,
    readAccess: "group",
    metrics: undefined,
    metricsPerPeer: true,
    logLevel: "info",
    crypto: "auto",
    threads: "auto",
    gateway: {},
    networks: [],
  });
});

test("who protects packets is one of three", () => {
  assert.equal(evaluate('[engine]\ncrypto = "openssl"').settings?.crypto, "openssl");
  assert.match(problems('[engine]\ncrypto = "none"').join(), /^2: .*crypto/);
});

test("packet threads are a number that makes sense, or left to vpnd", () => {
  assert.equal(evaluate("[engine]\nthreads = 4").settings?.threads, 4);
  for (const wrong of ["0", "9", '"two"', "1.5"])
    assert.match(problems(`[engine]\nthreads = ${wrong}`).join(), /^2: .*threads must be/);
  assert.deepEqual(
    [1, 2, 4, 7, 8, 64].map((processors) => threadsFor("auto", processors)),
    [1, 1, 2, 2, 4, 8],
  );
  assert.equal(threadsFor(3, 1), 3);
});

test("a section is what join would be asked for", () => {
  const { settings } = evaluate(network("office", "10.7.0.10/16", 'name = "Alpha"\nup = false'));
  assert.deepEqual(settings?.networks, [
    {
      options: {
        network: "office",
        iex: ["h.example:1"],
        virtualIp: "10.7.0.10/16",
        badger: false,
        listenPort: 0,
        device: "",
        mtu: 0,
        nodeName: "alpha",
      },
      pskFile: "/k",
      up: false,
      origin: { file: "f", line: 1 },
    },
  ]);
});

test("what join would refuse is refused with the line of the section, and speaks of keys", () => {
  const [bad = "", ...more] = problems(`\n${network("office", "10.7.0.10")}`);
  assert.match(bad, /^2: network office: /);
  assert.doesNotMatch(bad, /--/);
  assert.deepEqual(more, []);
  assert.match(problems(network("Office", "10.7.0.10/16")).join(), /"Office" is no network label/);
  assert.match(problems(network("a", "10.7.0.10/16", 'device = "a/b"')).join(), /no device name/);
  assert.match(problems(network("a", "10.7.0.10/16", "mtu = 100")).join(), /MTU 100/);
});

test("networks that exclude each other are refused, unless one is down", () => {
  const first = network("a", "10.7.0.10/16");
  assert.match(problems(first + network("b", "10.7.9.1/24")).join(), /^6: network b: .*overlaps.*network a/);
  assert.match(
    problems(first + network("b", "10.8.0.1/16", 'device = "vpn-a"')).join(),
    /device vpn-a is used/,
  );
  assert.deepEqual(problems(first + network("b", "10.7.9.1/24", "up = false")), []);
  assert.deepEqual(problems(first + network("b", "10.8.0.1/16")), []);
});
