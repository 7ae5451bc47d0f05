// Says in the store that this control plane exists, by a lease: when the process goes, so does the row.

import { fullJitterMs, type Random } from "@meridian/proto/base";
import { keys } from "../store/keys.ts";
import type { Entry, Lease, Store } from "../store/store.ts";

export type ControlPlaneRow = {
  readonly id: string;
  readonly region: string;
  /** host:port by which other control planes reach it. */
  readonly address: string;
  readonly build: string;
};

const leaseMs = 15_000;

export class Registration {
  readonly #store: Store;
  readonly #row: ControlPlaneRow;
  readonly #random: Random;
  #timer: NodeJS.Timeout | undefined;
  #lease: Lease | undefined;
  #attempts = 0;
  #closed = false;

  constructor(store: Store, row: ControlPlaneRow, random: Random) {
    this.#store = store;
    this.#row = row;
    this.#random = random;
    void this.#register();
  }

  /** Takes the row away. */
  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#lease?.release();
  }

  async #register(): Promise<void> {
    const lease = await this.#store.grantLease(leaseMs);
    if (lease.kind === "err") {
      this.#tryAgain();
      return;
    }
    if (this.#closed) {
      await lease.value.release();
      return;
    }
    this.#lease = lease.value;
    lease.value.lost.addEventListener("abort", () => this.#tryAgain(), { once: true });
    const done = await this.#store.commit({
      compare: [],
      operations: [
        {
          kind: "put",
          key: keys.controlPlane(this.#row.id),
          value: new TextEncoder().encode(JSON.stringify(this.#row)),
          lease: lease.value.id,
        },
      ],
    });
    if (done.kind === "ok") this.#attempts = 0;
    // Losing the lease starts over.
    else await lease.value.release();
  }

  #tryAgain(): void {
    if (this.#closed) return;
    this.#lease = undefined;
    clearTimeout(this.#timer);
    const waitMs = fullJitterMs(this.#attempts++, { baseMs: 500, capMs: 10_000 }, this.#random);
    this.#timer = setTimeout(() => void this.#register(), waitMs);
  }
}

/** Control planes that are registered; rows that say nothing are passed over. */
export function readControlPlanes(rows: ReadonlyMap<string, Entry>): readonly ControlPlaneRow[] {
  return [...rows.values()].flatMap(({ value }) => {
    try {
      const row: unknown = JSON.parse(new TextDecoder().decode(value));
      return isControlPlaneRow(row) ? [row] : [];
    } catch {
      return [];
    }
  });
}

function isControlPlaneRow(value: unknown): value is ControlPlaneRow {
  if (typeof value !== "object" || value === null) return false;
  const names = ["id", "region", "address", "build"];
  const fields = new Map<string, unknown>(Object.entries(value));
  return names.every((name) => typeof fields.get(name) === "string");
}
