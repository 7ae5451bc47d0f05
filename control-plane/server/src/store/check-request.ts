// What every store refuses before it does anything: bounds that etcd would enforce in its own words, or not at all.

import { err, ok, type Result } from "@meridian/proto/base";
import type { Commit, Operation, StoreError } from "./store.ts";

/** Bounds of one request. etcd's own: 1.5 MiB per request, 128 operations per transaction. */
export const storeLimits = {
  keyBytesMax: 1_024,
  valueBytesMax: 1_048_576,
  requestBytesMax: 1_310_720,
  operationsMax: 100,
  leaseTtlMsMin: 3_000,
  leaseTtlMsMax: 3_600_000,
} as const;

/** Printable ASCII, so that every store sorts keys alike and a prefix ends at one well-known successor. */
const keyForm = /^\/[\x21-\x7e]*$/;

export function invalid(message: string): { readonly kind: "invalid"; readonly message: string } {
  return { kind: "invalid", message };
}

export function checkKey(key: string): StoreError | undefined {
  if (key.length > storeLimits.keyBytesMax) {
    return invalid(`a key of ${key.length} bytes; at most ${storeLimits.keyBytesMax} are allowed`);
  }
  if (key.length < 2 || !keyForm.test(key)) {
    return invalid(
      `the key ${JSON.stringify(key)} must begin with "/" and be printable ASCII without blanks`,
    );
  }
  return undefined;
}

/** Like a key, but `""` (everything) and `"/"` are prefixes too. */
export function checkPrefix(prefix: string): StoreError | undefined {
  return prefix === "" || prefix === "/" ? undefined : checkKey(prefix);
}

export function checkRevision(revision: number): StoreError | undefined {
  return Number.isSafeInteger(revision) && revision >= 1
    ? undefined
    : invalid(`${revision} is no revision: they are whole numbers from 1`);
}

export function checkTtl(ttlMs: number): StoreError | undefined {
  const { leaseTtlMsMin, leaseTtlMsMax } = storeLimits;
  return ttlMs >= leaseTtlMsMin && ttlMs <= leaseTtlMsMax
    ? undefined
    : invalid(`a lease of ${ttlMs} ms; from ${leaseTtlMsMin} to ${leaseTtlMsMax} are allowed`);
}

export function checkCommit(commit: Commit): Result<void, StoreError> {
  const { operationsMax, requestBytesMax } = storeLimits;
  const count = Math.max(commit.operations.length, commit.compare.length);
  if (count > operationsMax) {
    return err(invalid(`${count} operations or compares; at most ${operationsMax} are allowed`));
  }
  const seen = new Set<string>();
  let bytes = 0;
  for (const operation of commit.operations) {
    const refusal = checkOperation(operation, seen);
    if (refusal !== undefined) return err(refusal);
    bytes += operation.key.length + (operation.kind === "put" ? operation.value.length : 0);
  }
  if (bytes > requestBytesMax) {
    return err(invalid(`a commit of ${bytes} bytes; at most ${requestBytesMax} are allowed`));
  }
  for (const compare of commit.compare) {
    const refusal = checkKey(compare.key) ?? checkCompared(compare.modRevision);
    if (refusal !== undefined) return err(refusal);
  }
  return ok(undefined);
}

function checkOperation(operation: Operation, seen: Set<string>): StoreError | undefined {
  const refusal = checkKey(operation.key);
  if (refusal !== undefined) return refusal;
  if (seen.has(operation.key)) return invalid(`${operation.key} appears twice in one commit`);
  seen.add(operation.key);
  if (operation.kind === "put" && operation.value.length > storeLimits.valueBytesMax) {
    const size = operation.value.length;
    return invalid(`${operation.key}: ${size} bytes; at most ${storeLimits.valueBytesMax}`);
  }
  return undefined;
}

function checkCompared(modRevision: number): StoreError | undefined {
  return modRevision === 0 ? undefined : checkRevision(modRevision);
}
