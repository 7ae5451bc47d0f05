// A watch that is 4,000 revisions behind gets them in batches of 1,000; it is cut at many points of that backlog, and
// the batches' headers carry the store's present revision: resuming from those loses events (multiregion 2.4).
// With compaction in between, a mirror must list again and end equal to the store.

import {
  type Entry,
  openMirror,
  type Revision,
  type Store,
  type StoreMirror,
} from "@meridian/control-server/store";
import { type Etcd, type Link, type Relay, startEtcd, startRelay } from "@meridian/harness";
import type { Random } from "@meridian/proto/base";
import { compare } from "./comparison.ts";
import { settles } from "./settle.ts";
import { openEtcd, openSubject, revisionOf } from "./subject.ts";
import { openWriter, type Writer } from "./writer.ts";

export type BacklogCutsOptions = {
  readonly random: Random;
  /** Points of the backlog at which a watch is cut, evenly spread; the end of the first batch is always one more. */
  readonly points: number;
  /** Times that a mirror is cut with a compaction in between. */
  readonly compactions: number;
};

export type BacklogCutsResult = {
  readonly cuts: number;
  readonly wrong: number;
  readonly compactions: number;
  /** Times that the mirror did not end equal to the store. */
  readonly unequal: number;
  /** Times that history was really gone for the watch, so that it listed again. */
  readonly relists: number;
};

const client = "watcher";
const prefix = "/w/";
const revisionsBehind = 4_000;
const catchUpMs = 30_000;
/** Each wrong one is waited for in full; after so many the verdict is clear. */
const wrongMax = 2;

type Stage = BacklogCutsOptions & {
  readonly relay: Relay;
  readonly etcd: Etcd;
  readonly direct: Store;
  readonly writer: Writer;
};

export async function backlogCuts(options: BacklogCutsOptions): Promise<BacklogCutsResult> {
  const relay = await startRelay({ distances: [] });
  const etcd = await startEtcd({ members: 1, relay, clientRegions: [client] });
  const direct = await openEtcd([etcd.member(0).directUrl], options.random.fork("direct"));
  try {
    const random = options.random.fork("writer");
    const writer = openWriter({ store: direct, prefix, random, keys: 500, valueBytesMax: 200 });
    const stage: Stage = { ...options, relay, etcd, direct, writer };
    return { ...(await cutBacklog(stage)), ...(await cutWithCompaction(stage)) };
  } finally {
    await direct.close();
    await etcd.stop();
    await relay.close();
  }
}

async function cutBacklog(stage: Stage): Promise<Pick<BacklogCutsResult, "cuts" | "wrong">> {
  const from = (await revisionOf(stage.direct)) + 1;
  await writeMany(stage.writer, revisionsBehind);
  const { bytes } = await watchBacklog(stage, from, undefined);
  const cutAt = Array.from({ length: stage.points }, (_, index) =>
    Math.round(((index + 1) * bytes) / (stage.points + 1)),
  );
  let tried = 0;
  let wrong = 0;
  for (const point of [Math.round(bytes / 4) + 100, ...cutAt]) {
    const { isRight } = await watchBacklog(stage, from, point);
    tried += 1;
    if (!isRight) wrong += 1;
    if (wrong === wrongMax) break;
  }
  return { cuts: tried, wrong };
}

/** Watches the backlog from its start to its end, cut once after some bytes, and compares. */
async function watchBacklog(
  stage: Stage,
  from: Revision,
  cutAfter: number | undefined,
): Promise<{ readonly bytes: number; readonly isRight: boolean }> {
  const { relay, etcd, writer } = stage;
  const link = etcd.clientLink(client, 0);
  const before = await bytesDown(relay, link);
  const cut = cutAfter === undefined ? undefined : relay.cutAfterBytes(link, cutAfter);
  const random = stage.random.fork(`backlog-${cutAfter}`);
  const subject = await openSubject({ endpoints: etcd.endpoints(client), prefix, from, random });
  const isComplete = await settles(() => subject.revision() === writer.revision(), catchUpMs);
  await subject.close();
  await relay.heal();
  await cut;
  const found = compare(writer.written, writer.written, subject.seen);
  const isSame = Object.values(found).every((marks) => marks.length === 0);
  const bytes = (await bytesDown(relay, link)) - before;
  return { bytes, isRight: isComplete && isSame };
}

async function cutWithCompaction(
  stage: Stage,
): Promise<Pick<BacklogCutsResult, "compactions" | "unequal" | "relists">> {
  const { random, relay, etcd, direct, writer } = stage;
  const link = etcd.clientLink(client, 0);
  let relists = 0;
  const counted = await openEtcd(etcd.endpoints(client), random.fork("mirror-store"));
  const store = withListCount(counted, () => {
    relists += 1;
  });
  const mirror = openMirror({ store, prefix, random: random.fork("mirror") });
  await mirror.ready;
  relists = 0;
  let unequal = 0;
  for (let turn = 0; turn < stage.compactions; turn++) {
    await relay.blackHole({ links: [link.id] }, true);
    const from = writer.revision();
    await writeMany(writer, 1_500);
    await compact(direct, from + 1 + random.integer(writer.revision() - from));
    await relay.cut({ links: [link.id] });
    await relay.blackHole({ links: [link.id] }, false);
    await settles(() => mirror.revision() >= writer.revision(), catchUpMs);
    if (!(await isEqual(mirror, direct))) unequal += 1;
  }
  mirror.close();
  await counted.close();
  return { compactions: stage.compactions, unequal, relists };
}

/** The same store; `onList` hears of each listing. */
function withListCount(store: Store, onList: () => void): Store {
  return {
    get: (key) => store.get(key),
    list: (listed) => {
      onList();
      return store.list(listed);
    },
    commit: (commit) => store.commit(commit),
    watch: (watch) => store.watch(watch),
    grantLease: (ttlMs) => store.grantLease(ttlMs),
    compact: (before) => store.compact(before),
    close: () => store.close(),
  };
}

async function writeMany(writer: Writer, revisions: number): Promise<void> {
  for (let done = 0; done < revisions; done++) await writer.write();
}

async function compact(store: Store, before: Revision): Promise<void> {
  const outcome = await store.compact(before);
  if (outcome.kind === "err") throw new Error(`compaction failed: ${outcome.error.message}`);
}

async function isEqual(mirror: StoreMirror, store: Store): Promise<boolean> {
  const listing = await store.list(prefix);
  if (listing.kind === "err") throw new Error(`a list failed: ${listing.error.message}`);
  const { entries } = listing.value;
  return (
    entries.length === mirror.entries.size &&
    entries.every((entry) => isSameEntry(entry, mirror.entries.get(entry.key)))
  );
}

function isSameEntry(a: Entry, b: Entry | undefined): boolean {
  return (
    b !== undefined &&
    a.modRevision === b.modRevision &&
    a.createRevision === b.createRevision &&
    Buffer.from(a.value).equals(b.value)
  );
}

async function bytesDown(relay: Relay, link: Link): Promise<number> {
  const stats = await relay.stats();
  return stats.find((each) => each.link === link.id)?.bytesDown ?? 0;
}
