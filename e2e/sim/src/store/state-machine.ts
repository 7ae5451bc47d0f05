// The rows of one member of the model store: commands applied in order, with leases. All members that have applied the
// same commands hold the same rows at the same revision.

import { ModelEtcd } from "@meridian/control-core/watch-model";
import type { Applied, LogCommand, ModelWrite } from "./raft-messages.ts";

export class StateMachine {
  readonly etcd = new ModelEtcd();
  readonly #revisions = new Map<string, number>();
  readonly #leaseOf = new Map<string, number>();
  readonly leases = new Map<number, { readonly ttlMs: number; readonly keys: Set<string> }>();

  apply(command: LogCommand): Applied {
    switch (command.kind) {
      case "txn":
        return this.#applyTxn(command);
      case "grant":
        this.leases.set(command.lease, { ttlMs: command.ttlMs, keys: new Set() });
        break;
      case "revoke":
        this.#revoke(command.lease);
        break;
      case "nothing":
        break;
    }
    return { kind: "done", revision: this.etcd.revision };
  }

  #applyTxn({ compare, puts, deletes }: Extract<LogCommand, { kind: "txn" }>): Applied {
    const holds = compare.every(
      (each) => (this.#revisions.get(each.key) ?? 0) === each.modRevision,
    );
    // A key put under a lease that is gone is refused by etcd as a whole.
    const leasesLive = puts.every((each) => each.lease === 0 || this.leases.has(each.lease));
    if (!holds || !leasesLive) return { kind: "conflict" };
    for (const { key, lease } of puts) this.#bind(key, lease);
    for (const key of deletes) this.#bind(key, 0);
    this.#commit([
      ...puts.map(({ key, value }) => ({ key, value })),
      ...deletes.map((key) => ({ key, value: undefined })),
    ]);
    return { kind: "done", revision: this.etcd.revision };
  }

  #revoke(lease: number): void {
    const held = this.leases.get(lease);
    if (held === undefined) return;
    this.leases.delete(lease);
    for (const key of held.keys) this.#leaseOf.delete(key);
    this.#commit([...held.keys].sort().map((key) => ({ key, value: undefined })));
  }

  #commit(writes: readonly ModelWrite[]): void {
    this.etcd.commit(writes);
    for (const { key, value } of writes) {
      if (value === undefined) this.#revisions.delete(key);
      else this.#revisions.set(key, this.etcd.revision);
    }
  }

  #bind(key: string, lease: number): void {
    this.leases.get(this.#leaseOf.get(key) ?? 0)?.keys.delete(key);
    if (lease === 0) this.#leaseOf.delete(key);
    else {
      this.#leaseOf.set(key, lease);
      this.leases.get(lease)?.keys.add(key);
    }
  }
}
