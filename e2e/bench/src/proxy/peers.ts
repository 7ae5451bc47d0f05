// Other gateways under the same load. Each is one file in e2e/bench/peers that says how it is started and asked; what they
// need is installed beside them by a manifest and a lockfile of their own, when the bench runs.

import { spawn, spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { freePorts } from "@meridian/harness";
import { answersInTime } from "./answers.ts";
import type { Subject } from "./subject.ts";

const folder = join(import.meta.dirname, "..", "..", "peers");

/** In texts, {port} is the peer's own port and {upstream} the upstream's. */
export type Peer = {
  readonly name: string;
  /** Its program, from the folder of the peers. */
  readonly entry: string;
  readonly args: readonly string[];
  readonly environment: { readonly [name: string]: string };
  readonly readyPath: string;
  readonly path: string;
  readonly headers: { readonly [name: string]: string };
};

export function readPeers(): readonly Peer[] {
  return readdirSync(folder)
    .filter((file) => file.endsWith(".peer.json"))
    .map((file) => parsePeer(file, readFileSync(join(folder, file), "utf8")));
}

/** Throws with the file and the field that is wrong. */
export function parsePeer(file: string, text: string): Peer {
  // Checked field by field below.
  const read = JSON.parse(text) as { readonly [field: string]: unknown };
  const wrong = (field: string) => new Error(`${file}: ${field} is missing or of the wrong kind`);
  const string = (field: string): string => {
    const value = read[field];
    if (typeof value !== "string") throw wrong(field);
    return value;
  };
  const strings = (field: string): { readonly [name: string]: string } => {
    const value = read[field];
    if (typeof value !== "object" || value === null) throw wrong(field);
    return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, String(each)]));
  };
  const args = read.args;
  if (!Array.isArray(args)) throw wrong("args");
  return {
    name: string("name"),
    entry: string("entry"),
    args: args.map(String),
    environment: strings("environment"),
    readyPath: string("readyPath"),
    path: string("path"),
    headers: strings("headers"),
  };
}

/** false: they could not be installed. */
export function installPeers(): boolean {
  console.error("installing peers");
  const install = ["ci", "--ignore-scripts", "--no-audit", "--no-fund"];
  return spawnSync("npm", install, { cwd: folder, stdio: "ignore" }).status === 0;
}

export async function startPeer(peer: Peer, upstreamPort: number): Promise<Subject> {
  const [port = 0] = await freePorts(1);
  const fill = (text: string) =>
    text.replaceAll("{port}", String(port)).replaceAll("{upstream}", String(upstreamPort));
  const filled = (texts: { readonly [name: string]: string }) =>
    Object.fromEntries(Object.entries(texts).map(([name, text]) => [name, fill(text)]));
  const child = spawn(process.execPath, [join(folder, peer.entry), ...peer.args.map(fill)], {
    cwd: folder,
    env: { ...process.env, ...filled(peer.environment) },
    stdio: "ignore",
  });
  const end = () => child.kill("SIGKILL");
  process.once("exit", end);
  await answersInTime(`http://127.0.0.1:${port}${peer.readyPath}`);
  return {
    name: peer.name,
    pid: child.pid ?? 0,
    target: { port, path: peer.path, headers: filled(peer.headers), check: "content" },
    stop: async () => {
      process.off("exit", end);
      end();
    },
  };
}
