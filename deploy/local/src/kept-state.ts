// What `npm start` keeps between starts, and how it knows whether the policy in force is still the one it applied.

import { createHash, X509Certificate } from "node:crypto";
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

/** Certificates that are to end within this time are made anew, which `meridian pki init` does at 30 days. */
const renewBeforeMs = 29 * 24 * 3_600_000;

/** All are made at once, so that one stands for all. */
export function hasCertificates(dataDir: string, nowMs: number): boolean {
  const file = join(dataDir, "pki", "operator", "cert.pem");
  if (!existsSync(file)) return false;
  const { validTo } = new X509Certificate(readFileSync(file));
  return Date.parse(validTo) - nowMs > renewBeforeMs;
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
