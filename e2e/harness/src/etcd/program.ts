// Finds the program `etcd`; on Debian, as root, installs it from the distribution when it is not there.

import { execFile, spawn } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";

export type EtcdProgram = {
  readonly path: string;
  /** For instance [3, 4, 23]. */
  readonly version: readonly [number, number, number];
};

/** Longest time for an installation, another test's included. */
const installTimeoutMs = 300_000;

/**
 * The lock lets parallel tests install once. A policy-rc.d that says 101 keeps Debian from starting its own etcd
 * (invoke-rc.d(8)); one that is there already is kept.
 */
const installScript = `
  set -e
  command -v etcd >/dev/null && exit 0
  if [ ! -e /usr/sbin/policy-rc.d ]; then
    trap 'rm -f /usr/sbin/policy-rc.d' EXIT
    printf '#!/bin/sh\\nexit 101\\n' > /usr/sbin/policy-rc.d
    chmod 755 /usr/sbin/policy-rc.d
  fi
  export DEBIAN_FRONTEND=noninteractive
  apt-get update
  apt-get install -y --no-install-recommends -o DPkg::Lock::Timeout=120 etcd-server
`;

/** Rejects with what to do when there is no etcd and none can be installed. `say` hears of an installation. */
export async function findEtcd(say: (line: string) => void): Promise<EtcdProgram> {
  const found = findProgram("etcd") ?? (await installEtcd(say));
  const { stdout } = await promisify(execFile)(found, ["--version"]);
  const version = /etcd Version: (\d+)\.(\d+)\.(\d+)/.exec(stdout);
  if (version === null) throw new Error(`${found} --version does not look like etcd: ${stdout}`);
  return { path: found, version: [Number(version[1]), Number(version[2]), Number(version[3])] };
}

/** The file of a program on the PATH or in the usual folders; undefined when there is none. */
export function findProgram(name: string): string | undefined {
  const folders = (process.env.PATH ?? "").split(delimiter);
  return [...folders, "/usr/bin", "/usr/local/bin"]
    .filter((folder) => folder !== "")
    .map((folder) => join(folder, name))
    .find(isExecutable);
}

async function installEtcd(say: (line: string) => void): Promise<string> {
  const canInstall = findProgram("apt-get") !== undefined && process.getuid?.() === 0;
  if (!canInstall) {
    throw new Error(
      "etcd is needed and not installed. Debian or Ubuntu: apt-get install etcd-server. macOS: brew install etcd. " +
        "Elsewhere: put the program `etcd` (3.4.23 or newer) on the PATH.",
    );
  }
  say("etcd is not there: installing etcd-server with apt-get");
  await run("flock", ["-w", "280", "/tmp/meridian-etcd-install.lock", "sh", "-c", installScript]);
  const found = findProgram("etcd");
  if (found === undefined)
    throw new Error("apt-get installed etcd-server, but there is no program `etcd`");
  return found;
}

function run(program: string, args: readonly string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, [...args], {
      stdio: ["ignore", "pipe", "pipe"],
      timeout: installTimeoutMs,
    });
    const output: string[] = [];
    child.stdout.on("data", (part) => output.push(String(part)));
    child.stderr.on("data", (part) => output.push(String(part)));
    child.on("error", reject);
    child.on("close", (code) => {
      if (code === 0) resolve();
      else reject(new Error(`installing etcd-server failed:\n${output.join("").slice(-2_000)}`));
    });
  });
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
