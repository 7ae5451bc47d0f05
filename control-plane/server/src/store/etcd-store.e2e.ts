// The battery against a real etcd.

import { type Etcd, startEtcd } from "@meridian/harness";
import { seededRandom } from "@meridian/proto/base";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { openEtcdStore } from "./etcd-store.ts";
import { openStore } from "./open-store.ts";
import { closedContract, storeContract } from "./store.contract.ts";
import type { Lease, Store } from "./store.ts";

let etcd: Etcd;
let store: Store;
const random = seededRandom("etcd battery");

function openNew(): Store {
  const urls = etcd.endpoints("us-east");
  return openEtcdStore({ urls, random, warn: () => undefined });
}

beforeAll(async () => {
  etcd = await startEtcd({ members: 1 });
  store = openNew();
});

afterAll(async () => {
  await store?.close();
  await etcd?.stop();
});

/** Ends a lease behind its holder's back, by etcd's JSON gateway. */
async function revokeElsewhere(lease: Lease): Promise<void> {
  const url = `${etcd.member(0).directUrl}/v3/lease/revoke`;
  const answer = await fetch(url, { method: "POST", body: JSON.stringify({ ID: lease.id }) });
  expect(answer.status).toBe(200);
}

describe("the store on etcd", () => {
  storeContract(() => ({ store, expireLease: revokeElsewhere }));
  closedContract(async () => openNew());

  test("a lease lives for longer than its lifetime while its holder does", async () => {
    const lease = await store.grantLease(3_000);
    if (lease.kind === "err") throw new Error(lease.error.message);
    const until = performance.now() + 7_000;
    await vi.waitFor(() => expect(performance.now()).toBeGreaterThan(until), {
      timeout: 10_000,
      interval: 100,
    });
    expect(lease.value.lost.aborted).toBe(false);
    await lease.value.release();
  });

  test("is opened by its specification", async () => {
    const spec = `etcd:${etcd.endpoints("us-east").join(",")}`;
    const opened = await openStore(spec, { random, warn: () => undefined });
    if (opened.kind === "err") throw new Error(opened.error.message);
    expect((await opened.value.list("/")).kind).toBe("ok");
    await opened.value.close();
  });
});
