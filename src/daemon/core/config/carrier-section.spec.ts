import assert from "node:assert/strict";
import { test } from "node:test";
import { readToml } from "../../../common/config/layer.js";
import { type EvaluatedSettings, evaluateSettings } from "./settings.js";

const evaluate = (keys: string): EvaluatedSettings =>
  evaluateSettings(readToml("f", `[network.a]\nvip = "10.7.0.1/24"\n${keys}\n`).entries);
const problem = (keys: string): string =>
  evaluate(keys)
    .problems.map(({ origin, message, hint }) => `${origin.line}: ${message} (${hint})`)
    .join("; ");

test("a section makes one end of a link", () => {
  const [listening] =
    evaluate('tcp_listen = 55555\ntap = true\ntls_psk_file = "/k"').settings?.networks ?? [];
  assert.deepEqual(listening?.options.tcp, { role: "listen", address: "55555", tap: true, tls: true });
  assert.equal(listening?.pskFile, "/k");
  const [connecting] = evaluate('tcp_connect = "H.example:55555"').settings?.networks ?? [];
  assert.deepEqual(connecting?.options.tcp, {
    role: "connect",
    address: "h.example:55555",
    tap: false,
    tls: false,
  });
  assert.equal(connecting?.pskFile, undefined);
});

test("a section makes a gateway's client, whose address is the gateway's business", () => {
  const toml =
    '[network.a]\ngateway = "wss://g.example/t"\ntoken_file = "/t"\nproxy = "http://p:3128"\nroutes = ["192.0.2.0/24"]\n';
  const [network] = evaluateSettings(readToml("f", toml).entries).settings?.networks ?? [];
  assert.deepEqual(network?.options.gateway, {
    url: "wss://g.example/t",
    proxy: "http://p:3128",
    routes: ["192.0.2.0/24"],
  });
  assert.equal(network?.options.virtualIp, "");
  assert.equal(network?.passwordFile, "/t");
  assert.equal(network?.pskFile, undefined);
});

test("what does not go together is refused, in words of the file", () => {
  for (const [keys, said] of [
    ["", /no other end is named .*tcp_listen/],
    ['iex = ["h:1"]', /a mesh needs a key .*psk_file/],
    ['iex = ["h:1"]\npsk_file = "/k"\ntap = true', /tap is no key of a mesh/],
    ['iex = ["h:1"]\npsk_file = "/k"\ntcp_listen = "5"', /iex and tcp_listen exclude each other/],
    ['tcp_listen = 5\ntcp_connect = "h:1"', /tcp_listen and tcp_connect exclude each other/],
    ['tcp_listen = 5\npsk_file = "/k"', /psk_file is no key of a TCP link .*tls_psk_file/],
    ["tcp_listen = 5\nbadger = true", /badger is no key of a TCP link/],
    ['gateway = "wss://h/"', /vip is no key of a network by way of a gateway .*their addresses/],
    ['gateway = "wss://h/"\niex = ["h:1"]', /iex and gateway exclude each other/],
    ['tcp_listen = 5\nroutes = ["192.0.2.0/24"]', /routes is no key of a TCP link/],
    ["tcp_listen = 70000", /no address to listen on .*tcp_listen/],
    ["tcp_listen = true", /must be a port/],
    ['tls_psk_file = "k"\ntcp_listen = 5', /absolute path/],
  ] as const) {
    assert.match(problem(keys), said);
    assert.doesNotMatch(problem(keys), /--/);
  }
});
