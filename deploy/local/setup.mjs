#!/usr/bin/env node
// Makes a fresh machine ready and runs a program with the Node that the repository pins.
// Plain JavaScript for Node 20 and later: it runs before anything is installed.
//
//   node deploy/local/setup.mjs ENTRY.ts [argument …]

import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..");
const stampFile = join(root, "node_modules", ".meridian-setup");

if (process.argv[2] === undefined) fail("usage: node deploy/local/setup.mjs ENTRY.ts [argument …]");
install();
run(findNode(), process.argv.slice(2));

/** Installs what the lockfile says, unless that has been done already. */
function install() {
  const wanted = fingerprint();
  if (existsSync(stampFile) && readFileSync(stampFile, "utf8") === wanted) return;
  const { packageManager } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  console.error(
    `Setting up: ${packageManager}, dependencies by the lockfile (once, about a minute) …`,
  );
  const started = Date.now();
  const done = spawnSync(
    "npx",
    ["--yes", packageManager, "install", "--frozen-lockfile", "--config.confirmModulesPurge=false"],
    { cwd: root, stdio: ["ignore", 2, 2], shell: process.platform === "win32" },
  );
  if (done.error !== undefined) fail(`npx could not be started: ${done.error.message}`);
  if (done.status !== 0) {
    fail("the dependencies could not be installed: see above. Is the npm registry reachable?");
  }
  writeFileSync(stampFile, wanted);
  console.error(`Set up in ${Math.round((Date.now() - started) / 1000)} s.`);
}

/** Changes whenever an install would do something. */
function fingerprint() {
  const hash = createHash("sha256");
  for (const file of ["package.json", "pnpm-lock.yaml", "pnpm-workspace.yaml"]) {
    hash.update(readFileSync(join(root, file)));
  }
  return `${hash.digest("hex")} ${process.platform}-${process.arch}`;
}

/** The pinned Node, or the host's own where there is none for this platform and it is new enough. */
function findNode() {
  const names = [
    `node-${process.platform}-${process.arch}`,
    `node-bin-${process.platform}-${process.arch}`,
  ];
  for (const name of names) {
    const path = join(root, "node_modules", name, "bin", "node");
    if (existsSync(path)) return path;
  }
  if (Number(process.versions.node.split(".")[0]) >= 24) return process.execPath;
  return fail(
    `no pinned Node for ${process.platform}-${process.arch}: please run with Node 24 or newer`,
  );
}

/** Runs the program as the foreground: signals go on to it, its exit code becomes ours. */
function run(node, args) {
  const environment = {
    // Sources run as they are; what they compile to is kept, which takes a third off every program's start.
    NODE_COMPILE_CACHE: join(root, "node_modules", ".cache", "compile"),
    ...process.env,
    PATH: `${dirname(node)}:${process.env.PATH ?? ""}`,
  };
  const child = spawn(node, ["--disable-warning=ExperimentalWarning", ...args], {
    stdio: ["inherit", "inherit", "inherit", "ipc"],
    env: environment,
  });
  // The child ends when the channel closes, so that even a killed parent leaves no orphan.
  child.on("error", (error) => fail(`${node} could not be started: ${error.message}`));
  // A terminal sends Ctrl-C to the whole group: the child has it already; this process only waits.
  process.on("SIGINT", () => undefined);
  for (const signal of ["SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
  endWithNpm();
  child.on("exit", (code, signal) => process.exit(signal === null ? code : 1));
}

/** Even where npm is killed and can pass no signal on, nothing is left behind. */
function endWithNpm() {
  const npm = findNpm(process.ppid);
  if (npm === undefined) return;
  setInterval(() => {
    if (!existsSync(`/proc/${npm}`)) process.exit(1);
  }, 1_000).unref();
}

/** The npm that started this, over the shells between; undefined where there is none or no /proc to find it by. */
function findNpm(pid) {
  for (let at = pid; at > 1; ) {
    try {
      if (readFileSync(`/proc/${at}/cmdline`, "utf8").startsWith("npm")) return at;
      // pid (name) state parent …; the name may hold anything, blanks and brackets too.
      at = Number(readFileSync(`/proc/${at}/stat`, "utf8").split(") ").at(-1).split(" ")[1]);
    } catch {
      return undefined;
    }
  }
  return undefined;
}

function fail(message) {
  console.error(`meridian: ${message}`);
  process.exit(1);
}
