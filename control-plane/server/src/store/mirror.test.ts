import { err, ok, seededRandom } from "@meridian/proto/base";
import { expect, test, vi } from "vitest";
import { openMirror } from "./mirror.ts";
import type { Entry, Listing, Store, StoreError, WatchOptions } from "./store.ts";

const random = seededRandom("mirror");

function entry(key: string, modRevision: number): Entry {
  return { key, value: Buffer.from(key), createRevision: modRevision, modRevision };
}

/** A store whose listings are a script and whose watches are driven by hand. */
function scripted(listings: readonly (Listing | StoreError)[]) {
  const watches: WatchOptions[] = [];
  let next = 0;
  const refused = async () => err<StoreError>({ kind: "unavailable", message: "not in this test" });
  const store: Store = {
    list: async () => {
      const listing = listings[Math.min(next++, listings.length - 1)];
      if (listing === undefined) return refused();
      return "kind" in listing ? err(listing) : ok(listing);
    },
    watch: (options) => watches.push(options),
    get: refused,
    commit: refused,
    grantLease: refused,
    compact: refused,
    close: async () => undefined,
  };
  return { store, watches };
}

test("after a compaction it lists again and tells what was deleted meanwhile", async () => {
  const { store, watches } = scripted([
    { revision: 5, entries: [entry("/a", 2), entry("/b", 3)] },
    { revision: 9, entries: [entry("/b", 3), entry("/c", 8)] },
  ]);
  const told: string[] = [];
  const mirror = openMirror({
    store,
    prefix: "/",
    random,
    onChange: (changes) => {
      for (const each of changes)
        told.push(`${each.kind} ${each.kind === "put" ? each.entry.key : each.key}`);
    },
  });
  await mirror.ready;
  expect(told.splice(0)).toEqual(["put /a", "put /b"]);
  expect(watches[0]?.from).toBe(6);
  watches[0]?.notify({ kind: "compacted", oldest: 8 });
  await vi.waitFor(() => expect(watches.length).toBe(2));
  expect(told).toEqual(["put /c", "delete /a"]);
  expect(watches[0]?.signal.aborted).toBe(true);
  expect(watches[1]?.from).toBe(10);
  mirror.close();
});

test("it is stale until a listing came, tries again, and becomes fresh", async () => {
  const unavailable: StoreError = { kind: "unavailable", message: "no quorum" };
  const { store } = scripted([unavailable, unavailable, { revision: 1, entries: [] }]);
  const mirror = openMirror({ store, prefix: "", random });
  expect(mirror.state()).toBe("stale");
  await mirror.ready;
  expect(mirror.state()).toBe("fresh");
  mirror.close();
});

test("a cut shorter than the grace is not told, a longer one is, and contact ends it", async () => {
  vi.useFakeTimers();
  try {
    const { store, watches } = scripted([{ revision: 1, entries: [] }]);
    const states: string[] = [];
    const onState = (state: string) => states.push(state);
    const mirror = openMirror({ store, prefix: "", random, onState, graceMs: 1_000 });
    await mirror.ready;
    watches[0]?.notify({ kind: "interrupted", message: "cut" });
    vi.advanceTimersByTime(900);
    watches[0]?.notify({ kind: "resumed" });
    vi.advanceTimersByTime(2_000);
    expect(states).toEqual(["fresh"]);
    watches[0]?.notify({ kind: "interrupted", message: "cut" });
    vi.advanceTimersByTime(1_100);
    watches[0]?.notify({ kind: "resumed" });
    expect(states).toEqual(["fresh", "stale", "fresh"]);
    mirror.close();
  } finally {
    vi.useRealTimers();
  }
});

test("a closed mirror settles its ready and ends its watch", async () => {
  const { store, watches } = scripted([{ revision: 1, entries: [] }]);
  const mirror = openMirror({ store, prefix: "", random });
  await mirror.ready;
  mirror.close();
  expect(watches[0]?.signal.aborted).toBe(true);
  await openMirrorAndClose(store);
});

async function openMirrorAndClose(store: Store): Promise<void> {
  const mirror = openMirror({ store, prefix: "", random });
  mirror.close();
  await mirror.ready;
}
