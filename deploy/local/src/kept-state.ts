// What `npm start` keeps between starts, and how it knows whether the policy in force is still the one it applied.

import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Cluster } from "@meridian/harness";
import { programPids } from "./switches.ts";

/** All that is ever written into the data folder; --fresh removes these and nothing else. */
const kept = ["pki", "control", "proxy", "etcd-run", "logs", "policy.yaml", "applied", "pids.json"];

export function forget(dataDir: string): void {
  for (const name of kept) rmSync(join(dataDir, name), { recursive: true, force: true });
}

/** State of a run with etcd, which begins with nothing each time. */
export function emptyEtcdState(dataDir: string): string {
  const folder = join(dataDir, "etcd-run");
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  return folder;
}

export function hasCertificates(dataDir: string): boolean {
  return existsSync(join(dataDir, "pki", "operator", "cert.pem"));
}

/**
 * true when this text was the last that a start applied: then whatever is in force now, perhaps changed by
 * `meridian apply` since, stays.
 */
export function wasApplied(dataDir: string, policy: string): boolean {
  const file = join(dataDir, "applied");
  return existsSync(file) && readFileSync(file, "utf8") === fingerprint(policy);
}

export function noteApplied(dataDir: string, policy: string): void {
  writeFileSync(join(dataDir, "applied"), fingerprint(policy));
}

export function writePids(dataDir: string, cluster: Cluster): void {
  const text = JSON.stringify(programPids(cluster), undefined, 2);
  writeFileSync(join(dataDir, "pids.json"), `${text}\n`);
}

export function removePids(dataDir: string): void {
  rmSync(join(dataDir, "pids.json"), { force: true });
}

function fingerprint(policy: string): string {
  return createHash("sha256").update(policy).digest("hex");
}
