import assert from "node:assert/strict";
import { test } from "node:test";
import { makeConfig, type NetworkConfig } from "./config.js";
import { effectOf, patched, refuseToken, settingsChanged } from "./settings.js";

const mesh: NetworkConfig = {
  ...makeConfig(
    {
      network: "office",
      iex: ["h.example:9944"],
      virtualIp: "10.0.0.1/16",
      badger: false,
      listenPort: 0,
      device: "",
      mtu: 0,
      nodeName: "",
    },
    "alpha",
    5,
  ),
  port: 40_000,
};
const link: NetworkConfig = makeConfig(
  {
    ...mesh.asked,
    iex: [],
    tcp: { role: "listen", address: "55555", tap: false, tls: true },
  },
  "alpha",
  5,
);

test("what is not named stays, also a chosen port and the name of before", () => {
  const next = patched(mesh, { mtu: 1300 }, "renamed-host");
  assert.deepEqual(next, { ...mesh, mtu: 1300, asked: { ...mesh.asked, mtu: 1300 } });
  assert.deepEqual(settingsChanged(mesh, next), [{ option: "--mtu", from: "1400", to: "1300" }]);
});

test("the same again, also as the default spelled out, is no change", () => {
  assert.deepEqual(settingsChanged(mesh, patched(mesh, {}, "alpha")), []);
  const same = { mtu: 1400, device: "vpn-office", nodeName: "alpha", iex: ["H.example:9944"] };
  assert.deepEqual(settingsChanged(mesh, patched(mesh, same, "alpha")), []);
});

test("names come and go without a restart", () => {
  const off = patched(mesh, { dns: false }, "alpha");
  assert.equal(off.asked.noDns, true);
  const gone = settingsChanged(mesh, off);
  assert.deepEqual(gone, [{ option: "--dns", from: "on", to: "off" }]);
  assert.equal(effectOf(mesh, gone, true), "live");
  assert.equal(patched(off, { mtu: 1300 }, "alpha").asked.noDns, true, "it stays");
  assert.deepEqual(patched(off, { dns: true }, "alpha"), mesh);
});

test("every option changes", () => {
  const patch = {
    iex: ["b.example:1", "c.example:2"],
    virtualIp: "10.9.0.1/24",
    nodeName: "beta",
    device: "tun7",
    mtu: 1280,
    listenPort: 5000,
  };
  const next = patched(mesh, patch, "alpha");
  assert.equal(next.port, 5000);
  assert.deepEqual(
    settingsChanged(mesh, next).map(({ option, to }) => `${option}=${to}`),
    [
      "--iex=b.example:1,c.example:2",
      "--vip=10.9.0.1/24",
      "--name=beta",
      "--device=tun7",
      "--mtu=1280",
      "--listen-port=5000",
    ],
  );
  const back = patched(next, { listenPort: 0, mtu: 0, device: "", nodeName: "" }, "alpha");
  assert.equal(back.port, 5000, "the port that it has");
  assert.equal(back.mtu, 1400);
  assert.equal(back.device, "vpn-office");
  assert.equal(back.nodeName, "alpha");
});

test("a link may turn round", () => {
  const next = patched(link, { tcp: { role: "connect", address: "h:5" } }, "alpha");
  assert.deepEqual(next.asked.tcp, { role: "connect", address: "h:5", tap: false, tls: true });
  assert.deepEqual(settingsChanged(link, next), [
    { option: "--tcp-listen", from: "55555", to: "" },
    { option: "--tcp-connect", from: "", to: "h:5" },
  ]);
});

test("a gateway's client gets other prefixes, and a proxy, without a restart", () => {
  const gateway = { url: "wss://g.example/", proxy: "http://p:3128", routes: ["192.0.2.0/24"] };
  const client = makeConfig({ ...mesh.asked, iex: [], virtualIp: "", gateway }, "alpha", 5);
  const next = patched(client, { gateway: { proxy: "", routes: [] } }, "alpha");
  assert.deepEqual(next.asked.gateway, { url: gateway.url, routes: [] });
  const changes = settingsChanged(client, next);
  assert.deepEqual(changes, [
    { option: "--proxy", from: "http://p:3128", to: "" },
    { option: "--route", from: "192.0.2.0/24", to: "" },
  ]);
  assert.equal(effectOf(client, changes, true), "live");
  assert.deepEqual(patched(client, { gateway: { routes: ["198.51.100.0/24"] } }, "alpha").asked.gateway, {
    ...gateway,
    routes: ["198.51.100.0/24"],
  });
  assert.throws(() => patched(client, { gateway: { routes: ["0.0.0.0/0"] } }, "a"), /the way to the gateway/);
});

test("options of another carrier and values that make no sense are refused", () => {
  const tcp = { role: "listen", address: "5" } as const;
  assert.throws(() => patched(mesh, { tcp }, "a"), /--tcp-listen is not an option of office, a mesh/);
  assert.throws(() => patched(link, { iex: ["h:1"] }, "a"), /--iex is not an option of office, a TCP link/);
  assert.throws(() => patched(link, { listenPort: 1 }, "a"), /--listen-port is not an option/);
  assert.throws(() => patched(mesh, { gateway: { proxy: "" } }, "a"), /--proxy is not an option of office/);
  assert.throws(() => refuseToken(link, "t"), /--token-file is not an option of office, a TCP link/);
  assert.throws(() => patched(mesh, { mtu: 100 }, "a"), /MTU 100 is out of range/);
  assert.throws(() => patched(mesh, { virtualIp: "10.0.0.0/16" }, "a"), /10\.0\.0\.0/);
});

test("a restart only where the carrier cannot do without", () => {
  const effect = (config: NetworkConfig, options: string[], runs = true) =>
    effectOf(
      config,
      options.map((option) => ({ option, from: "a", to: "b" })),
      runs,
    );
  assert.equal(effect(mesh, []), "none");
  assert.equal(effect(mesh, ["--iex"]), "live");
  assert.equal(effect(mesh, ["--iex", "--mtu"]), "restart");
  assert.equal(effect(link, ["--tcp-listen", "--tcp-connect", "--name"]), "live");
  assert.equal(effect({ ...mesh, up: false }, ["--mtu"], false), "stored");
  assert.equal(effect(mesh, ["--iex"], false), "restart", "it is in error, and tries again at once");
});
