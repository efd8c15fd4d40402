/** Web servers in front of a gateway, set up as docs/gateway.md says. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { must } from "./command.js";
import { type Host, repository } from "./lab.js";
import type { Running } from "./machine.js";

/** The name that the page gives the server. */
export const serverName = "server.example";
const certificates = `/etc/letsencrypt/live/${serverName}/`;

export interface WebServer {
  name: string;
  /** Resolves when it takes connections on port 443. */
  start(host: Host): Promise<Running>;
  /** Makes it read its configuration again. */
  reload(host: Host): Promise<void>;
  /** WebSockets go on meanwhile. */
  keepsOnReload: boolean;
}

/** The page's example for this server. */
function example(name: string): string {
  const page = readFileSync(join(repository, "docs/gateway.md"), "utf8");
  const [, text] = new RegExp(`^\`\`\`${name}\\n([^]*?)^\`\`\`$`, "m").exec(page) ?? [];
  if (text === undefined) throw new Error(`docs/gateway.md has no example for ${name}`);
  return text;
}

/** A certificate that is its own authority, where the examples look for one below the host's folder. @returns its path */
export async function makeCertificate(host: Host): Promise<string> {
  const [path, key] = [join(host.folder, "fullchain.pem"), join(host.folder, "privkey.pem")];
  const subject = ["-subj", `/CN=${serverName}`, "-addext", `subjectAltName=DNS:${serverName}`];
  const kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  await must("openssl", ["req", "-x509", ...kind, "-keyout", key, "-out", path, "-days", "2", ...subject]);
  return path;
}

const inFolder = (host: Host, text: string): string => text.replaceAll(certificates, `${host.folder}/`);

const nginxFile = (host: Host): string => join(host.folder, "nginx.conf");

const nginx: WebServer = {
  name: "nginx",
  keepsOnReload: true,
  async start(host) {
    const paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(
      (one) => `${one}_temp_path ${join(host.folder, `nginx-${one}`)};`,
    );
    const around = [
      "user root; daemon off; error_log stderr;",
      `pid ${join(host.folder, "nginx.pid")};`,
      `events {} http { access_log off; ${paths.join(" ")}`,
    ];
    writeFileSync(nginxFile(host), `${around.join("\n")}\n${inFolder(host, example("nginx"))}}\n`);
    const program = host.spawn("nginx", "/usr/sbin/nginx", ["-c", nginxFile(host)]);
    await host.listening(program, "tcp", 443);
    return program;
  },
  async reload(host) {
    await host.exec("/usr/sbin/nginx", ["-c", nginxFile(host), "-s", "reload"]);
  },
};

const caddyFile = (host: Host): string => join(host.folder, "Caddyfile");

const caddy: WebServer = {
  name: "caddy",
  keepsOnReload: false,
  async start(host) {
    const own = `tls ${certificates}fullchain.pem ${certificates}privkey.pem`;
    const site = example("caddy").replace("{\n", `{\n  ${own}\n`);
    writeFileSync(caddyFile(host), inFolder(host, site));
    const env = { HOME: host.folder, XDG_DATA_HOME: host.folder, XDG_CONFIG_HOME: host.folder };
    const args = ["run", "--adapter", "caddyfile", "--config", caddyFile(host)];
    const program = host.spawn("caddy", "caddy", args, { env });
    await host.listening(program, "tcp", 443);
    return program;
  },
  async reload(host) {
    await host.exec("caddy", ["reload", "--adapter", "caddyfile", "--config", caddyFile(host), "--force"]);
  },
};

export const webServers: readonly WebServer[] = [nginx, caddy];
