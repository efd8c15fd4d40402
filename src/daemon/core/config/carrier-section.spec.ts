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

test("a section makes a network over PostgreSQL", () => {
  const [declared] =
    evaluate(
      'postgres = "postgres://me@h/db"\npostgres_password_file = "/p"\npsk_file = "/k"\nlog = "sample=9"\nretention = "7d"\nmax_size = "1GiB"\nfast = true',
    ).settings?.networks ?? [];
  assert.deepEqual(declared?.options.postgres, {
    url: "postgres://me@h:5432/db",
    fast: true,
    encrypted: true,
    log: 9,
    retentionSeconds: 604_800,
    maxBytes: 1 << 30,
  });
  assert.deepEqual([declared?.pskFile, declared?.passwordFile], ["/k", "/p"]);
  const [plain] = evaluate('postgres = "postgres://me@h/db"').settings?.networks ?? [];
  assert.deepEqual(plain?.options.postgres, {
    url: "postgres://me@h:5432/db",
    fast: false,
    encrypted: false,
  });
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
    ['postgres = "postgres://me@h/db"\niex = ["h:1"]', /iex and postgres exclude each other/],
    ['postgres = "postgres://me@h/db"\ntap = true', /tap is no key of a network over PostgreSQL/],
    ['iex = ["h:1"]\npsk_file = "/k"\nfast = true', /fast is no key of a mesh/],
    ['postgres = "postgres://me:pw@h/db"', /holds a password/],
    ['postgres = "postgres://me@h/db"\nretention = "soon"', /retention: "soon" cannot be read/],
    ['postgres = "postgres://me@h/db"\nretention = "5s"', /a minute at least/],
    ['postgres = "postgres://me@h/db"\nmax_size = "5"', /16 MiB at least .*max_size/],
    ['postgres = "postgres://me@h/db"\nlog = "some"', /does not say what is kept/],
    ["tcp_listen = 70000", /no address to listen on .*tcp_listen/],
    ["tcp_listen = true", /must be a port/],
    ['tls_psk_file = "k"\ntcp_listen = 5', /absolute path/],
  ] as const) {
    assert.match(problem(keys), said);
    assert.doesNotMatch(problem(keys), /--/);
  }
});
