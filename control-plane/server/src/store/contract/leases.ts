// The battery's part on leases.

import { describe, expect, test, vi } from "vitest";
import type { Lease, Store } from "../store.ts";
import { put, Recorder, read, room, type StoreSubject, write } from "./fixture.ts";

async function granted(store: Store, ttlMs = 10_000): Promise<Lease> {
  const lease = await store.grantLease(ttlMs);
  if (lease.kind === "err") throw new Error(lease.error.message);
  return lease.value;
}

export function leaseContract(subject: () => StoreSubject): void {
  describe("a lease", () => {
    test("released takes its keys with it, is not lost, and the deletion is told", async () => {
      const { store } = subject();
      const at = room();
      const lease = await granted(store);
      const from = await write(
        store,
        { ...put(`${at}a`, "1"), lease: lease.id },
        put(`${at}b`, "1"),
      );
      const watch = new Recorder(store, at, from);
      await watch.heard(2);
      await lease.release();
      expect(await watch.heard(3)).toEqual(["put a 1", "put b 1", "delete a"]);
      expect(lease.lost.aborted).toBe(false);
      expect(await read(store, `${at}b`)).toBeDefined();
      watch.abort();
    });

    test("that ended without its holder is lost, and its keys are gone", async () => {
      const { store, expireLease } = subject();
      const key = `${room()}a`;
      const lease = await granted(store, 3_000);
      await write(store, { ...put(key, "1"), lease: lease.id });
      await expireLease(lease);
      await vi.waitFor(() => expect(lease.lost.aborted).toBe(true), 15_000);
      await vi.waitFor(async () => expect(await read(store, key)).toBeUndefined(), 15_000);
      await lease.release();
    });

    test("that is gone carries no key: that is a conflict", async () => {
      const { store } = subject();
      const key = `${room()}a`;
      const lease = await granted(store);
      await lease.release();
      const operations = [{ ...put(key, "1"), lease: lease.id }];
      const done = await store.commit({ compare: [], operations });
      expect(done).toMatchObject({ kind: "err", error: { kind: "conflict" } });
      expect(await read(store, key)).toBeUndefined();
    });

    test("no longer holds a key that was written again without it", async () => {
      const { store } = subject();
      const key = `${room()}a`;
      const lease = await granted(store);
      await write(store, { ...put(key, "1"), lease: lease.id });
      await write(store, put(key, "2"));
      await lease.release();
      expect(await read(store, key)).toBeDefined();
    });

    test("released twice is released once", async () => {
      const { store } = subject();
      const lease = await granted(store);
      await lease.release();
      await lease.release();
      expect(lease.lost.aborted).toBe(false);
    });
  });
}
