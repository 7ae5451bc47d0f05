// The store on an etcd of three members behind a relay that cuts, swallows and heals. An uncut watch on a direct
// connection runs beside: what it sees is what there was to see.

import { type Etcd, type Relay, startEtcd, startRelay } from "@meridian/harness";
import { seededRandom } from "@meridian/proto/base";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { put, Recorder, read, remove, room, write } from "./contract/fixture.ts";
import { openEtcdStore } from "./etcd-store.ts";
import { openMirror } from "./mirror.ts";
import { storeContract } from "./store.contract.ts";
import type { Lease, Store } from "./store.ts";

const region = "us-east";
const random = seededRandom("etcd relay");
const states: string[] = [];
let relay: Relay;
let etcd: Etcd;
/** Behind the relay, its nearest member first. */
let subject: Store;
/** Past the relay, to the members that stay whole. */
let control: Store;

beforeAll(async () => {
  relay = await startRelay({ distances: [] });
  etcd = await startEtcd({ members: 3, relay });
  const warn = () => undefined;
  const onWatchState = (_prefix: string, state: string) => {
    states.push(state);
  };
  subject = openEtcdStore({ urls: etcd.endpoints(region), random, warn, onWatchState });
  const direct = [etcd.member(1).directUrl, etcd.member(2).directUrl];
  control = openEtcdStore({ urls: direct, random, warn });
});

afterEach(async () => {
  await relay.heal();
});

afterAll(async () => {
  await subject?.close();
  await control?.close();
  await etcd?.stop();
  await relay?.close();
});

async function revokeElsewhere(lease: Lease): Promise<void> {
  const url = `${etcd.member(1).directUrl}/v3/lease/revoke`;
  const answer = await fetch(url, { method: "POST", body: JSON.stringify({ ID: lease.id }) });
  expect(answer.status).toBe(200);
}

async function caughtUp(watch: Recorder, whole: Recorder, count: number): Promise<void> {
  await vi.waitFor(() => expect(whole.events.length).toBe(count), { timeout: 30_000 });
  await vi.waitFor(() => expect(watch.events.length).toBeGreaterThanOrEqual(count), {
    timeout: 30_000,
  });
  expect(watch.shown).toEqual(whole.shown);
  watch.abort();
  whole.abort();
}

/** Puts and deletes over a few keys, fifty at a time in flight; the number of events they make. */
async function writeMany(at: string, revisions: number): Promise<void> {
  for (let block = 0; block < revisions; block += 50) {
    await Promise.all(
      Array.from({ length: 50 }, (_, each) => {
        const key = `${at}${(block + each) % 37}`;
        return write(control, put(key, `${block}.${each}`));
      }),
    );
  }
}

describe("behind a relay that lets everything through", () => {
  storeContract(() => ({ store: subject, expireLease: revokeElsewhere }));
});

describe("cuts", () => {
  test("after the first of several 1,000-revision batches nothing is lost or told twice", async () => {
    const at = room();
    const from = await write(control, put(`${at}first`, "0"));
    await writeMany(at, 3_500);
    const whole = new Recorder(control, at, from);
    const watch = new Recorder(subject, at, from);
    await vi.waitFor(() => expect(watch.events.length).toBeGreaterThan(0), { interval: 1 });
    await relay.cut({ links: clientLinks() });
    await caughtUp(watch, whole, 3_501);
  });

  test.each(["a first", "a second"])(
    "after any number of bytes nothing is lost: %s run",
    async () => {
      const at = room();
      const from = await write(control, put(`${at}first`, "0"));
      const whole = new Recorder(control, at, from);
      const watch = new Recorder(subject, at, from);
      let writing = true;
      const writer = (async () => {
        let count = 1;
        for (; writing; count++) {
          const key = `${at}${count % 11}`;
          await write(control, put(key, `${count}`.padEnd(200, "x")));
        }
        return count;
      })();
      try {
        await cutOften(watch, 25);
      } finally {
        writing = false;
      }
      const interruptions = watch.notices.filter((notice) => notice.kind === "interrupted");
      expect(interruptions.length).toBeGreaterThan(10);
      await caughtUp(watch, whole, await writer);
    },
  );

  test("with a compaction in between, listing again tells every change, deletions too", async () => {
    const at = room();
    await write(control, put(`${at}kept`, "1"), put(`${at}gone`, "1"), put(`${at}changed`, "1"));
    const changes: string[] = [];
    const mirror = openMirror({
      store: subject,
      prefix: at,
      random,
      onChange: (told) => {
        for (const each of told) {
          const key = each.kind === "put" ? each.entry.key : each.key;
          changes.push(`${each.kind} ${key.slice(at.length)}`);
        }
      },
    });
    await mirror.ready;
    changes.splice(0);
    await relay.blackHole({ links: clientLinks() }, true);
    await write(control, remove(`${at}gone`), put(`${at}changed`, "2"));
    const last = await write(control, put(`${at}new`, "1"));
    await write(control, put(`${room()}elsewhere`, "1"));
    expect((await control.compact(last + 1)).kind).toBe("ok");
    await relay.cut({ links: clientLinks() });
    await relay.heal();
    await vi.waitFor(() => expect(mirror.entries.has(`${at}new`)).toBe(true), 30_000);
    expect(changes.toSorted()).toEqual(["delete gone", "put changed", "put new"]);
    expect([...mirror.entries.keys()].toSorted()).toEqual(
      ["changed", "kept", "new"].map((each) => at + each),
    );
    mirror.close();
  });
});

/** Cuts whatever member the watch is on, after a random number of bytes, each time when it has heard more. */
async function cutOften(watch: Recorder, cuts: number): Promise<void> {
  const links = [0, 1, 2].map((member) => etcd.clientLink(region, member));
  for (let cut = 0; cut < cuts; cut++) {
    const isCut = relay.cutAfterBytes(links, 1 + random.integer(6_000));
    await Promise.race([isCut, vi.waitFor(() => heardMore(watch, 40), 10_000)]);
    await vi.waitFor(() => heardMore(watch, 10), 10_000);
  }
}

const heardAt = new WeakMap<Recorder, number>();

/** Throws until so many more events came than when it last did not. */
function heardMore(watch: Recorder, count: number): void {
  const before = heardAt.get(watch) ?? 0;
  if (watch.events.length < before + count) throw new Error("not yet");
  heardAt.set(watch, watch.events.length);
}

describe("a member that falls silent with its sockets open", () => {
  test.each([
    ["cut off from the other members", "isolate"],
    ["cut off from everything", "blackHole"],
  ] as const)("%s is noticed within 10 s, and no event is missed", async (_name, how) => {
    // A store of its own: its nearest member has not failed it before.
    const seen: string[] = [];
    const store = openEtcdStore({
      urls: etcd.endpoints(region),
      random,
      warn: () => undefined,
      onWatchState: (_prefix, state) => seen.push(state),
    });
    const at = room();
    const from = await write(control, put(`${at}a`, "before"));
    const watch = new Recorder(store, at, from);
    await watch.heard(1);
    await vi.waitFor(() => expect(seen).toEqual(["live"]), 10_000);
    await etcd.lead(1);
    await etcd.member(0)[how](true);
    const silentAt = performance.now();
    await vi.waitFor(() => write(control, put(`${at}a`, "during")), 10_000);
    await vi.waitFor(() => expect(seen.length).toBeGreaterThan(1), { timeout: 15_000 });
    expect(performance.now() - silentAt).toBeLessThan(10_000);
    await vi.waitFor(() => expect(watch.shown).toContain("put a during"), { timeout: 10_000 });
    await etcd.member(0)[how](false);
    await write(control, put(`${at}a`, "after"));
    await vi.waitFor(() => expect(watch.shown.at(-1)).toBe("put a after"), { timeout: 10_000 });
    expect(watch.shown).toEqual(["put a before", "put a during", "put a after"]);
    watch.abort();
    await store.close();
  });

  test("a lease whose holder is cut off is lost before the majority lets its key go", async () => {
    const key = `${room()}a`;
    const lease = await subject.grantLease(6_000);
    if (lease.kind === "err") throw new Error(lease.error.message);
    await write(subject, { ...put(key, "1"), lease: lease.value.id });
    await relay.blackHole({ links: clientLinks() }, true);
    let lostAt = Number.POSITIVE_INFINITY;
    lease.value.lost.addEventListener("abort", () => {
      lostAt = performance.now();
    });
    await vi.waitFor(async () => expect(await read(control, key)).toBeUndefined(), {
      timeout: 20_000,
      interval: 50,
    });
    expect(lostAt).toBeLessThan(performance.now());
  });
});

function clientLinks(): readonly number[] {
  return [0, 1, 2].map((member) => etcd.clientLink(region, member).id);
}
