// Puts policies into the store: chunks first, then one transaction that moves the head, compared with what was read.
// Whoever else applies at the same moment is noticed, never overwritten unseen.

import { create } from "@bufbuild/protobuf";
import {
  assertNever,
  type Clock,
  err,
  fullJitterMs,
  type Instant,
  ok,
  type Random,
  type Result,
} from "@meridian/proto/base";
import { type Version, VersionSchema } from "@meridian/proto/gen/snapshot_pb";
import { compareVersions } from "@meridian/proto/snapshot";
import { keys } from "../store/keys.ts";
import type { Operation, Store, StoreError } from "../store/store.ts";
import {
  type HeadRow,
  newestVersion,
  prunableKeys,
  type Rows,
  readHead,
  readPolicy,
} from "./policy-history.ts";
import { type Chunk, encodeHead, encodeManifest, sha256, splitDocument } from "./policy-rows.ts";
import type { RowWatch } from "./row-watch.ts";

export type Candidate = {
  /** Canonical JSON of a policy that has passed every check. */
  readonly document: Uint8Array;
  readonly author: string;
  readonly reason: string;
  /** If set, nothing is put unless this version is in force. */
  readonly expected: Version | undefined;
};

export type Put =
  /** `former`: the document that was in force before, if it can be read. */
  | { readonly kind: "stored"; readonly version: Version; readonly former: Uint8Array | undefined }
  | { readonly kind: "unchanged"; readonly version: Version }
  /** Another version than the expected one is in force; undefined: none is. */
  | { readonly kind: "conflict"; readonly inForce: Version | undefined }
  /** Perhaps nothing was put, perhaps it was: only a later look can tell. */
  | { readonly kind: "unavailable"; readonly message: string };

export type PolicyStoreOptions = {
  readonly store: Store;
  /** The copy of the policy rows. */
  readonly rows: RowWatch;
  readonly clock: Clock;
  readonly random: Random;
};

/** A whole document up to this size moves in the same transaction as the head. */
const inlineBytesMax = 768 * 1024;
const attemptsMax = 50;
/** How long the copy may take to show what the store has said already. */
const catchUpMs = 3_000;

/** Puts of one control plane follow each other; those of several meet in the store. */
export class PolicyStore {
  readonly #options: PolicyStoreOptions;
  #last: Promise<unknown> = Promise.resolve();

  constructor(options: PolicyStoreOptions) {
    this.#options = options;
  }

  put(candidate: Candidate, deadline: Instant): Promise<Put> {
    const run = this.#last.then(() => new PutRun(this.#options, candidate, deadline).run());
    this.#last = run;
    return run;
  }
}

/** One put, with its attempts. */
class PutRun {
  readonly #options: PolicyStoreOptions;
  readonly #candidate: Candidate;
  readonly #deadline: Instant;
  readonly #chunks: readonly Chunk[];
  readonly #appliedMs: number;
  /** The rows are at least as new as this put: an answer without a write may be given from them. */
  #confirmed = false;
  /** The manifest of the last attempt whose outcome is unknown. */
  #doubtful: string | undefined;

  constructor(options: PolicyStoreOptions, candidate: Candidate, deadline: Instant) {
    this.#options = options;
    this.#candidate = candidate;
    this.#deadline = deadline;
    this.#chunks = splitDocument(candidate.document);
    this.#appliedMs = options.clock.wall();
  }

  async run(): Promise<Put> {
    for (let attempt = 0; attempt < attemptsMax; attempt++) {
      if (this.#options.clock.now() >= this.#deadline) break;
      const settled = this.#settleFromRows();
      if (settled !== undefined && this.#confirmed) return settled;
      const step = settled === undefined ? await this.#commit() : ok(undefined);
      if (step.kind === "ok" && step.value !== undefined) return step.value;
      if (step.kind === "err" && step.error.kind === "invalid") return unavailable(step.error);
      const confirmed = await this.#confirm();
      if (confirmed.kind === "err") return unavailable(confirmed.error);
      if (step.kind === "err") await this.#pause(attempt);
    }
    const message = "others apply policies all the time, or the store is slow; try again";
    return { kind: "unavailable", message };
  }

  /** What needs no write: a conflict, no change, or an earlier attempt that turns out to have worked. */
  #settleFromRows(): Put | undefined {
    const row = readHead(this.#rows());
    const head = row?.head.kind === "ok" ? row.head.value : undefined;
    if (head !== undefined && head.manifest === this.#doubtful) {
      return { kind: "stored", version: head.version, former: undefined };
    }
    const { expected } = this.#candidate;
    const isExpected =
      expected === undefined ||
      (head !== undefined && compareVersions(head.version, expected) === 0);
    if (!isExpected) return { kind: "conflict", inForce: head?.version };
    const inForce = this.#documentOf(row);
    const isSame = inForce !== undefined && Buffer.compare(inForce, this.#candidate.document) === 0;
    return isSame && head !== undefined ? { kind: "unchanged", version: head.version } : undefined;
  }

  async #commit(): Promise<Result<Put | undefined, StoreError>> {
    const rows = this.#rows();
    const row = readHead(rows);
    const version = nextVersion(newestVersion(rows));
    const { author, reason, document } = this.#candidate;
    const manifest = encodeManifest({
      version,
      chunks: this.#chunks.map((each) => each.sha256),
      bytes: document.length,
      author,
      reason,
      appliedMs: this.#appliedMs,
    });
    const hash = sha256(manifest);
    const former = this.#documentOf(row);
    const prune = prunableKeys(
      rows,
      this.#chunks.map((each) => each.sha256),
    );
    const isInline = document.length <= inlineBytesMax;
    const written = isInline ? ok(undefined) : await this.#writeChunks();
    if (written.kind === "err") return written;
    const operations: readonly Operation[] = [
      ...(isInline ? uniqueChunks(this.#chunks).map(putChunk) : []),
      { kind: "put", key: keys.policyManifest(version), value: manifest },
      { kind: "put", key: keys.policyHead, value: encodeHead({ version, manifest: hash }) },
      ...prune.map((key): Operation => ({ kind: "delete", key })),
    ];
    const compare = [{ key: keys.policyHead, modRevision: row?.modRevision ?? 0 }];
    const done = await this.#options.store.commit({ compare, operations });
    if (done.kind === "err") {
      if (done.error.kind === "unavailable") this.#doubtful = hash;
      return done;
    }
    // So that who applied sees it in what is asked next; the policy is in force in any case.
    await this.#options.rows.reach(done.value, catchUpMs);
    return ok({ kind: "stored", version, former });
  }

  /** Chunks that nothing names yet do no harm if what follows fails. */
  async #writeChunks(): Promise<Result<undefined, StoreError>> {
    for (const chunk of uniqueChunks(this.#chunks)) {
      const done = await this.#options.store.commit({ compare: [], operations: [putChunk(chunk)] });
      if (done.kind === "err") return done;
    }
    return ok(undefined);
  }

  /** Makes sure that the rows are no older than now. */
  async #confirm(): Promise<Result<void, StoreError>> {
    const { store, rows } = this.#options;
    const read = await store.get(keys.policyHead);
    if (read.kind === "err") return read;
    const revision = read.value?.modRevision ?? 0;
    if (!(await rows.reach(revision, catchUpMs))) {
      const message = "this control plane lags behind its store; try again, or ask another one";
      return err({ kind: "unavailable", message });
    }
    this.#confirmed = true;
    return ok(undefined);
  }

  #documentOf(row: HeadRow | undefined): Uint8Array | undefined {
    if (row?.head.kind !== "ok") return undefined;
    const read = readPolicy(this.#rows(), row.head.value);
    return read.kind === "ok" ? read.value.document : undefined;
  }

  #rows(): Rows {
    return this.#options.rows.entries();
  }

  async #pause(attempt: number): Promise<void> {
    const ms = fullJitterMs(Math.min(attempt, 6), { baseMs: 5, capMs: 250 }, this.#options.random);
    await new Promise((resolve) => setTimeout(resolve, ms));
  }
}

/** A restore raises the epoch; everything else is the next in the sequence. */
function nextVersion(newest: Version | undefined): Version {
  if (newest === undefined) return create(VersionSchema, { epoch: 1n, sequence: 1n });
  return create(VersionSchema, { epoch: newest.epoch, sequence: newest.sequence + 1n });
}

function putChunk(chunk: Chunk): Operation {
  return { kind: "put", key: keys.policyChunk(chunk.sha256), value: chunk.bytes };
}

function uniqueChunks(chunks: readonly Chunk[]): readonly Chunk[] {
  return [...new Map(chunks.map((each) => [each.sha256, each])).values()];
}

function unavailable(error: StoreError): Put {
  switch (error.kind) {
    case "unavailable":
    case "conflict":
    case "compacted":
    case "invalid":
      return { kind: "unavailable", message: error.message };
    default:
      return assertNever(error);
  }
}
