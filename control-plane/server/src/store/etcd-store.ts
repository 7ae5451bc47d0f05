// The store on etcd: a thin shell over gRPC (ADR 0002). Time and order are decided by the engines in control-core.

import { performance } from "node:perf_hooks";
import { create } from "@bufbuild/protobuf";
import type { WatchState } from "@meridian/control-core/watch";
import { err, ok, type Random } from "@meridian/proto/base";
import {
  checkCommit,
  checkKey,
  checkPrefix,
  checkRevision,
  checkTtl,
  invalid,
} from "./check-request.ts";
import { checkServers } from "./etcd/check-servers.ts";
import { EtcdLease } from "./etcd/etcd-lease.ts";
import { EtcdWatch } from "./etcd/etcd-watch.ts";
import {
  CompactionRequestSchema,
  LeaseGrantRequestSchema,
  RangeRequestSchema,
} from "./etcd/gen/etcd_pb.ts";
import type { EtcdTls } from "./etcd/member.ts";
import { callDeadlineMs, EtcdMembers } from "./etcd/members.ts";
import { entryOf, keyBytes, leaseNumber, prefixRange, txnRequest } from "./etcd/translate.ts";
import type {
  Commit,
  Entry,
  Lease,
  Listing,
  Outcome,
  Revision,
  Store,
  StoreError,
  WatchOptions,
} from "./store.ts";

export type EtcdOptions = {
  /** http://host:port of each member, the nearest first. */
  readonly urls: readonly string[];
  /** For https members. */
  readonly tls?: EtcdTls;
  readonly random: Random;
  /** Told what an operator should know. */
  readonly warn: (message: string) => void;
  /** For a metric: one of three states per watch. */
  readonly onWatchState?: (prefix: string, state: WatchState, reason: string) => void;
  /** The members' election timeout; a lease is given up that much before its end. Default 2,000. */
  readonly electionTimeoutMs?: number;
};

/** Entries of one answer while listing: 64 MiB where each value is as large as it may be. */
const pageEntries = 64;
const listAttempts = 3;

/** Never fails and does not wait: members that can't be reached are tried with every use. */
export function openEtcdStore(options: EtcdOptions): Store {
  const store = new EtcdStore(options);
  store.checkServers();
  return store;
}

class EtcdStore implements Store {
  readonly #options: EtcdOptions;
  readonly #members: EtcdMembers;
  readonly #watches = new Set<EtcdWatch>();
  readonly #leases = new Set<EtcdLease>();
  #closed = false;

  constructor(options: EtcdOptions) {
    this.#options = options;
    this.#members = new EtcdMembers(options.urls, options.tls);
  }

  checkServers(): void {
    const warn = (message: string) => {
      if (!this.#closed) this.#options.warn(message);
    };
    void checkServers(this.#members, warn);
  }

  readonly get = async (key: string): Outcome<Entry | undefined> => {
    const refusal = checkKey(key) ?? this.#refuseClosed();
    if (refusal !== undefined) return err(refusal);
    const request = create(RangeRequestSchema, { key: keyBytes(key) });
    const answer = await this.#members.call((member) => member.range(request, callDeadlineMs), {
      repeatable: true,
    });
    if (answer.kind === "err") return answer;
    const kv = answer.value.kvs[0];
    return ok(kv === undefined ? undefined : entryOf(kv));
  };

  readonly list = async (prefix: string): Outcome<Listing> => {
    const refusal = checkPrefix(prefix) ?? this.#refuseClosed();
    if (refusal !== undefined) return err(refusal);
    for (let attempt = 1; ; attempt++) {
      const listing = await this.#listOnce(prefix);
      // Compacted away between two pages: begin again.
      if (listing.kind === "ok" || listing.error.kind !== "compacted") return listing;
      const { message } = listing.error;
      if (attempt === listAttempts) return err({ kind: "unavailable", message });
    }
  };

  readonly commit = async (commit: Commit): Outcome<Revision> => {
    const checked = checkCommit(commit);
    const refusal = checked.kind === "err" ? checked.error : this.#refuseCommit(commit);
    if (refusal !== undefined) return err(refusal);
    const request = txnRequest(commit);
    const answer = await this.#members.call((member) => member.txn(request, callDeadlineMs), {
      repeatable: false,
    });
    if (answer.kind === "err") return answer;
    if (!answer.value.succeeded) {
      const keys = commit.compare.map((each) => each.key).join(", ");
      return err({ kind: "conflict", message: `a key is not at the revision expected: ${keys}` });
    }
    return ok(Number(answer.value.header?.revision ?? 0n));
  };

  readonly watch = (options: WatchOptions): void => {
    if (this.#closed || options.signal.aborted) return;
    const { random, onWatchState } = this.#options;
    const watch = new EtcdWatch({
      members: this.#members,
      watch: options,
      random,
      onState: (state, reason) => onWatchState?.(options.prefix, state, reason),
      onEnd: () => this.#watches.delete(watch),
    });
    this.#watches.add(watch);
    watch.start();
  };

  readonly grantLease = async (ttlMs: number): Outcome<Lease> => {
    const refusal = checkTtl(ttlMs) ?? this.#refuseClosed();
    if (refusal !== undefined) return err(refusal);
    const request = create(LeaseGrantRequestSchema, { TTL: BigInt(Math.ceil(ttlMs / 1_000)) });
    let sentAt = performance.now();
    // A grant whose answer is lost is a lease that nobody keeps alive: asking twice does no harm.
    const answer = await this.#members.call(
      (member) => {
        sentAt = performance.now();
        return member.grant(request, callDeadlineMs);
      },
      { repeatable: true },
    );
    if (answer.kind === "err") return answer;
    const lease = new EtcdLease({
      members: this.#members,
      id: answer.value.ID,
      ttlMs: Number(answer.value.TTL) * 1_000,
      sentAt,
      electionTimeoutMs: this.#options.electionTimeoutMs ?? 2_000,
      random: this.#options.random,
      onEnd: () => this.#leases.delete(lease),
    });
    this.#leases.add(lease);
    if (this.#closed) await lease.release();
    return ok(lease);
  };

  readonly compact = async (before: Revision): Outcome<void> => {
    const refusal = checkRevision(before) ?? this.#refuseClosed();
    if (refusal !== undefined) return err(refusal);
    // etcd keeps the revision that it compacts to, but for deletions, which it forgets: one less keeps `before` whole.
    if (before === 1) return ok(undefined);
    const request = create(CompactionRequestSchema, { revision: BigInt(before - 1) });
    const answer = await this.#members.call((member) => member.compact(request, callDeadlineMs), {
      repeatable: true,
    });
    if (answer.kind === "ok" || answer.error.kind === "compacted") return ok(undefined);
    return answer;
  };

  readonly close = async (): Promise<void> => {
    if (this.#closed) return;
    this.#closed = true;
    for (const watch of this.#watches) watch.end();
    await Promise.all([...this.#leases].map((lease) => lease.release()));
    this.#members.close();
  };

  /** Every page through a quorum, at the first one's revision, so that they are of one moment whoever answers. */
  async #listOnce(prefix: string): Outcome<Listing> {
    const { rangeEnd } = prefixRange(prefix);
    let { key } = prefixRange(prefix);
    let revision = 0n;
    const entries: Entry[] = [];
    for (;;) {
      const request = create(RangeRequestSchema, {
        key,
        rangeEnd,
        revision,
        limit: BigInt(pageEntries),
      });
      const answer = await this.#members.call((member) => member.range(request, callDeadlineMs), {
        repeatable: true,
      });
      if (answer.kind === "err") return answer;
      const { kvs, header, more } = answer.value;
      if (revision === 0n) revision = header?.revision ?? 0n;
      for (const kv of kvs) entries.push(entryOf(kv));
      const last = kvs.at(-1);
      if (!more || last === undefined) return ok({ revision: Number(revision), entries });
      // The smallest key behind the last one.
      key = Uint8Array.of(...last.key, 0);
    }
  }

  #refuseCommit(commit: Commit): StoreError | undefined {
    for (const operation of commit.operations) {
      if (operation.kind === "delete" || operation.lease === undefined) continue;
      if (leaseNumber(operation.lease) === 0n) return invalid("the lease is none of this store's");
    }
    return this.#refuseClosed();
  }

  #refuseClosed(): StoreError | undefined {
    return this.#closed ? { kind: "unavailable", message: "the store is closed" } : undefined;
  }
}
