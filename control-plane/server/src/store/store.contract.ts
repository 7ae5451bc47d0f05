// What every store must do: one battery, run against each implementation, with the strict wrapper on.

import { expect, test } from "vitest";
import { checkedStore } from "./checked-store.ts";
import { commitContract, refusalContract } from "./contract/commits.ts";
import type { StoreSubject } from "./contract/fixture.ts";
import { leaseContract } from "./contract/leases.ts";
import { listContract } from "./contract/listings.ts";
import { watchContract } from "./contract/watches.ts";

export type { StoreSubject };

/**
 * Declares the battery's tests. `subject` is called in each of them and gives the same open store.
 *
 * @example describe("embedded", () => storeContract(() => ({ store, expireLease })));
 */
export function storeContract(subject: () => StoreSubject): void {
  const checked = () => {
    const { store, expireLease } = subject();
    return { store: checkedStore(store), expireLease };
  };
  commitContract(checked);
  // The strict wrapper takes an invalid request for a defect; here it is the point.
  refusalContract(subject);
  listContract(checked);
  watchContract(checked);
  leaseContract(checked);
}

/** A store after close(); of its own, since it does not come back. */
export function closedContract(open: () => Promise<StoreSubject["store"]>): void {
  test("a closed store answers unavailable, and closing twice is closing once", async () => {
    const store = await open();
    await store.close();
    await store.close();
    const gone = { kind: "err", error: { kind: "unavailable" } };
    expect(await store.get("/a")).toMatchObject(gone);
    expect(await store.list("")).toMatchObject(gone);
    expect(await store.commit({ compare: [], operations: [] })).toMatchObject(gone);
    expect(await store.grantLease(5_000)).toMatchObject(gone);
    expect(await store.compact(1)).toMatchObject(gone);
  });
}
