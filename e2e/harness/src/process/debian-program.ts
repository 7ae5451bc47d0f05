// Programs of the distribution that a test or a bench needs: found on this machine, or on Debian, as root, installed.

import { spawn } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";

/** A program and the Debian package that brings it. */
export type DebianProgram = { readonly program: string; readonly package: string };

/** Longest time for an installation, another test's included. */
const installTimeoutMs = 300_000;

/**
 * The file of a program, installed first where it is missing and can be. Rejects with what to do otherwise. `say` hears
 * of an installation.
 *
 * @example await ensureProgram({ program: "nginx", package: "nginx-light" }, console.error) // "/usr/sbin/nginx"
 */
export async function ensureProgram(
  wanted: DebianProgram,
  say: (line: string) => void,
): Promise<string> {
  const found = findProgram(wanted.program);
  if (found !== undefined) return found;
  if (findProgram("apt-get") === undefined || process.getuid?.() !== 0) {
    throw new Error(
      `${wanted.program} is needed and not installed. Debian or Ubuntu: apt-get install ${wanted.package}. ` +
        `Elsewhere: put the program \`${wanted.program}\` on the PATH.`,
    );
  }
  say(`${wanted.program} is not there: installing ${wanted.package} with apt-get`);
  await run("flock", [
    "-w",
    "280",
    "/tmp/meridian-install.lock",
    "sh",
    "-c",
    installScript(wanted),
  ]);
  const installed = findProgram(wanted.program);
  if (installed !== undefined) return installed;
  throw new Error(`apt-get installed ${wanted.package}, but there is no \`${wanted.program}\``);
}

/** The file of a program on the PATH or in the usual folders; undefined when there is none. */
export function findProgram(name: string): string | undefined {
  const folders = (process.env.PATH ?? "").split(delimiter);
  return [...folders, "/usr/bin", "/usr/sbin", "/usr/local/bin"]
    .filter((folder) => folder !== "")
    .map((folder) => join(folder, name))
    .find(isExecutable);
}

/**
 * The lock lets parallel tests install once. A policy-rc.d that says 101 keeps Debian from starting its own service
 * (invoke-rc.d(8)); one that is there already is kept.
 */
function installScript(wanted: DebianProgram): string {
  return `
    set -e
    command -v ${wanted.program} >/dev/null && exit 0
    if [ ! -e /usr/sbin/policy-rc.d ]; then
      trap 'rm -f /usr/sbin/policy-rc.d' EXIT
      printf '#!/bin/sh\\nexit 101\\n' > /usr/sbin/policy-rc.d
      chmod 755 /usr/sbin/policy-rc.d
    fi
    export DEBIAN_FRONTEND=noninteractive
    apt-get update
    apt-get install -y --no-install-recommends -o DPkg::Lock::Timeout=120 ${wanted.package}
  `;
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
      else reject(new Error(`the installation failed:\n${output.join("").slice(-2_000)}`));
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
