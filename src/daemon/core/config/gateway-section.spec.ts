import assert from "node:assert/strict";
import { test } from "node:test";
import { readToml } from "../../../common/config/layer.js";
import { checkGatewayOptions } from "../gateway/options.js";
import type { GatewaySettings } from "./gateway-section.js";
import { evaluateSettings } from "./settings.js";

const evaluate = (keys: string) => evaluateSettings(readToml("f", `[gateway]\n${keys}\n`).entries);
const gateway = (keys: string): GatewaySettings | undefined => evaluate(keys).settings?.gateway;
const problem = (keys: string): string =>
  evaluate(keys)
    .problems.map(({ origin, message, hint }) => `${origin.line}: ${message} (${hint})`)
    .join("; ");

const asked = {
  ...{ listen: "", path: "", open: false, subnets: [], mtu: 0, maxClients: 0, keepSeconds: undefined },
  ...{ allow: [], allowHost: false, allowClients: false, dns: [], fanqiang: false, padding: false },
  ...{ workers: 0, into: "", noInternet: false, anySource: false, isolation: "" },
};

test("a section with listen declares a gateway, with the defaults of gateway start", () => {
  const { declared } = gateway('listen = "127.0.0.1:8080"') ?? {};
  assert.deepEqual(declared, {
    options: checkGatewayOptions(asked),
    up: true,
    origin: { file: "f", line: 2 },
  });
});

test("each option of gateway start has its key", () => {
  const { declared } =
    gateway(`
listen = 8443
up = false
path = "/t"
open = true
subnet = ["10.50.0.0/16", "fd00:50::/112"]
max_clients = 20
keep = "1h"
workers = 2
mtu = 1400
dns = ["9.9.9.9"]
allow = ["10.0.0.0/24"]
into = "office"
no_internet = true
allow_host = true
allow_clients = true
any_source = true
fanqiang = true
padding = true`) ?? {};
  assert.deepEqual(declared?.options, {
    ...{ listen: "0.0.0.0:8443", path: "/t", open: true, subnets: ["10.50.0.0/16", "fd00:50::/112"] },
    ...{ maxClients: 20, keepSeconds: 3600, workers: 2, mtu: 1400, dns: ["9.9.9.9"], allow: ["10.0.0.0/24"] },
    ...{ into: "office", internet: false, allowHost: true, allowClients: true, anySource: true },
    ...{ fanqiang: true, padding: true, isolation: "tun" },
  });
  assert.equal(declared.up, false);
  assert.equal(gateway('listen = 1\nisolation = "shared"')?.declared?.options.isolation, "shared");
});

test("certificate and key alone declare none", () => {
  const settings = gateway('tls_cert = "/c"\ntls_key = "/k"');
  assert.deepEqual(settings, { tls: { cert: "/c", key: "/k" } });
});

test("what cannot be meant is refused with its line, in words of the file", () => {
  for (const [keys, said] of [
    ['path = "/x"', /^2: gateway: path without listen .*listen = /],
    ["up = false", /gateway: up without listen/],
    ['tls_cert = "/c"', /tls_cert without tls_key/],
    ["listen = 70000", /70000" is no address to listen on .*listen /],
    ["listen = true", /must be a port/],
    ['listen = 1\nkeep = "soon"', /^2: gateway: keep: "soon" cannot be read/],
    ['listen = 1\nkeep = "30d"', /keep is out of range/],
    ["listen = 1\nmtu = 100", /MTU 100 is out of range .*mtu 1280/],
    ["listen = 1\nworkers = 65", /65 are too many workers .*at most workers 64/],
    ["listen = 1\nno_internet = true", /nothing .*into NETWORK or allow CIDR/],
    ['listen = 1\nsubnets = ["10.0.0.0/8"]', /subnets/],
    ["listen = 1\nopen = 1", /open/],
  ] as const) {
    assert.match(problem(keys), said);
    assert.doesNotMatch(problem(keys), /--/);
  }
});
