// The proxies in front of an application, as processes: each with a directory and an address of its own.

import { once } from "node:events";
import { accessSync, constants } from "node:fs";
import { mkdtemp, readFile, writeFile } from "node:fs/promises";
import net from "node:net";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { startProgram } from "../browser/programs.mjs";

/**
 * An address of this process's own: all that begin with 127 are this machine's. At 127.0.0.1 another test, or a connection to one, could
 * take a port between our look whether it is free and the proxy's start.
 */
const host = `127.${64 + (process.pid >> 16)}.${(process.pid >> 8) & 255}.${process.pid & 255}`;

const document = await readFile(new URL("../../docs/proxies.md", import.meta.url), "utf8");

/** What becomes of a configuration of docs/proxies.md, unless something else does: of its text, and for the port of the application. */
const asShown = (text) => text;

/** nginx with the configuration of docs/proxies.md, or what becomes of it, and with more or none around it and beside its address. */
export function nginx(more, change = asShown, listening = "") {
  return {
    // One process, that stays in the foreground and changes to no other user.
    command: (directory) => ["nginx", "-p", directory, "-e", "error.log", "-c", "nginx.conf"],
    file: "nginx.conf",
    text: (address, target) => `
      daemon off; master_process off; pid nginx.pid; events {}
      http {
        access_log off; client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;
        uwsgi_temp_path uwsgi; scgi_temp_path scgi; ${more}
        server { listen ${address} ${listening}; ${change(shown("nginx", target), target)} }
      }`,
  };
}

/** HAProxy with the configuration of docs/proxies.md, or what becomes of it. */
export function haproxy(change = asShown) {
  return {
    command: () => ["haproxy", "-db", "-f", "haproxy.cfg"],
    file: "haproxy.cfg",
    text: (address, target) => change(shown("haproxy", target), target).replace("bind :80", `bind ${address}`),
  };
}

/** Caddy with the configuration of docs/proxies.md, or what becomes of it, and with these options of the whole of it. */
export function caddy(options = "", change = asShown) {
  return {
    command: () => ["caddy", "run", "--adapter", "caddyfile", "--config", "Caddyfile"],
    file: "Caddyfile",
    text: (address, target) => {
      // By itself it listens at all addresses, and takes the one that it is given for the host to answer for.
      const [host] = address.split(":");
      const site = change(shown("caddyfile", target), target).replace(":80 {", `http://${address} {\nbind ${host}`);
      return `{\nadmin off\n${options}\n}\n${site}`;
    },
  };
}

/** Varnish with the configuration of docs/proxies.md, or what becomes of it, and with more on its command line or nothing. */
export function varnish(change = asShown, ...more) {
  return {
    // In the foreground, under the user that it has, with as much memory as an idle one needs, and with no port to give it orders by.
    // Its second process ends when it misses the first.
    command: (directory, address) => [
      "varnishd", "-F", "-j", "none", "-n", join(directory, "varnish"), "-s", "default,16m", "-l", "1m", "-T", "none",
      "-a", address, "-f", join(directory, "default.vcl"), ...more,
    ],
    file: "default.vcl",
    text: (_, target) => change(shown("vcl", target), target),
  };
}

/** Has Varnish do with each stream what it does with those of clients that don't say that they accept one. */
export const passing = (text) => text.replace("text/event-stream", "none");

/** Apache with the configuration of docs/proxies.md, or what becomes of it, and with more modules or none. */
export function apache(change = asShown, ...modules) {
  return {
    // One process, that stays in the foreground; root's changes to the user of Debian's.
    command: (directory) => ["apache2", "-X", "-d", directory, "-f", "apache2.conf"],
    file: "apache2.conf",
    text: (address, target) => `
      ${["mpm_event", "authz_core", "proxy", "proxy_http", ...modules].map(load).join("\n")}
      ServerName localhost
      User www-data
      Group www-data
      PidFile apache2.pid
      ErrorLog error.log
      Listen ${address}
      ${change(shown("apache", target), target).replace("*:80", address)}`,
  };
}

function load(name) {
  return `LoadModule ${name}_module /usr/lib/apache2/modules/mod_${name}.so`;
}

/** What docs/proxies.md shows in this language, for this application. */
export function shown(language, target) {
  const [, text] = document.match(new RegExp(`\`\`\`${language}\\n([^]*?)\`\`\``));
  return text.replaceAll("127.0.0.1:3000", `127.0.0.1:${target}`).replaceAll('.port = "3000"', `.port = "${target}"`);
}

/** Starts one of them in front of the one that listens on `target`. */
export async function start({ command, file, text }, target) {
  const directory = await mkdtemp(join(tmpdir(), "dualcast-proxy-"));
  const port = await freePort();
  const address = `${host}:${port}`;
  await writeFile(join(directory, file), text(address, target));
  const [name, ...args] = command(directory, address);
  const env = { ...process.env, HOME: directory, XDG_DATA_HOME: directory, XDG_CONFIG_HOME: directory };
  const stop = await startProgram(executable(name), args, { directory, isReady: () => accepts(port), what: `${name} listens`, cwd: directory, env });
  return { url: `http://${address}`, stop };
}

/** A port that is free at our address. None of these can be asked which one it has taken. */
async function freePort() {
  const server = net.createServer().listen(0, host);
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
}

function accepts(port) {
  return new Promise((resolve) => {
    const socket = net.connect(port, host, () => resolve(true) || socket.destroy());
    socket.on("error", () => resolve(false));
  });
}

/** Where it is: not all have the directory of those that run by themselves in their path. */
export function executable(name) {
  for (const directory of [...(process.env.PATH ?? "").split(delimiter), "/usr/sbin"]) {
    const path = join(directory, name);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // Not in this directory.
    }
  }
  throw new Error(`no ${name} in PATH; \`tests/run proxies\` installs it`);
}
