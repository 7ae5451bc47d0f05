// Watches whose connections are cut at random bytes while a writer writes, beside one whose connection never is.

import { type Etcd, type Relay, startEtcd, startRelay } from "@meridian/harness";
import type { Random } from "@meridian/proto/base";
import { type Comparison, compare } from "./comparison.ts";
import { openControlWatch } from "./control-watch.ts";
import { pauseMs, settles } from "./settle.ts";
import { openEtcd, openSubject, revisionOf, type Subject } from "./subject.ts";
import { openWriter, type Writer } from "./writer.ts";

export type RandomCutsOptions = {
  readonly members: 1 | 3;
  readonly cuts: number;
  /** Watches under test, each with connections of its own: most of a cut's time is waiting to reconnect. */
  readonly watchers: number;
  readonly random: Random;
  /** The cutting ends then, whatever was reached. */
  readonly timeoutMs: number;
};

export type RandomCutsResult = {
  readonly cuts: number;
  readonly interruptions: number;
  /** Events that happened, and events told to all watches under test together. */
  readonly events: number;
  readonly told: number;
  readonly lost: number;
  readonly lostByServer: number;
  readonly repeated: number;
  readonly invented: number;
  readonly misplaced: number;
  /** Watches that ended because history was said to be gone, though nothing was compacted. */
  readonly ended: number;
  /** Some of what went wrong, for a person. */
  readonly examples: readonly string[];
  readonly seconds: number;
};

const prefix = "/w/";
const writePauseMs = 10;
const burstEachMs = 9_000;
/** etcd sends 1,000 revisions in a batch. */
const burstRevisions = 2_000;
/** About what one revision of the writer takes on the wire. */
const revisionBytes = 250;
const catchUpMs = 30_000;

export async function randomCuts(options: RandomCutsOptions): Promise<RandomCutsResult> {
  const watchers = Array.from({ length: options.watchers }, (_, index) => `watcher-${index}`);
  const relay = await startRelay({ distances: [] });
  const etcd = await startEtcd({ members: options.members, relay, clientRegions: watchers });
  try {
    return await cutAndCompare({ ...options, relay, etcd, clients: watchers });
  } finally {
    await etcd.stop();
    await relay.close();
  }
}

type Stage = RandomCutsOptions & {
  readonly relay: Relay;
  readonly etcd: Etcd;
  readonly clients: readonly string[];
};

async function cutAndCompare(stage: Stage): Promise<RandomCutsResult> {
  const { etcd, random } = stage;
  const startedMs = performance.now();
  const url = etcd.member(0).directUrl;
  const direct = await openEtcd([url], random.fork("direct"));
  const writer = openWriter({
    store: direct,
    prefix,
    random: random.fork("writer"),
    keys: 300,
    valueBytesMax: 60,
  });
  const control = await openControlWatch(url, prefix);
  const from = (await revisionOf(direct)) + 1;
  const subjects = await Promise.all(
    stage.clients.map((client) =>
      openSubject({ endpoints: etcd.endpoints(client), prefix, from, random: random.fork(client) }),
    ),
  );
  try {
    await writeWhileCutting(stage, writer, subjects);
    const complete = () =>
      [control, ...subjects].every((each) => each.revision() === writer.revision());
    await settles(complete, catchUpMs);
    const failure = control.failure();
    if (failure !== undefined) throw new Error(failure);
    const stats = await stage.relay.stats();
    return {
      ...judge(writer, control.seen, subjects),
      cuts: stats.reduce((sum, link) => sum + link.cut, 0),
      seconds: (performance.now() - startedMs) / 1_000,
    };
  } finally {
    control.close();
    await Promise.all(subjects.map((subject) => subject.close()));
    await direct.close();
  }
}

/** Ends when the cuts are made or the time is up; the writer then rests, and all fuses are out. */
async function writeWhileCutting(
  stage: Stage,
  writer: Writer,
  subjects: readonly Subject[],
): Promise<void> {
  const { relay, etcd, random } = stage;
  const points = random.fork("cuts");
  const deadlineMs = performance.now() + stage.timeoutMs;
  let left = stage.cuts;
  const isOver = () => left <= 0 || performance.now() > deadlineMs;

  async function cutAgainAndAgain(subject: Subject, client: string): Promise<void> {
    const links = etcd.members.map((_, member) => etcd.clientLink(client, member));
    while (!isOver()) {
      const behind = Math.max(0, writer.revision() - subject.revision());
      await relay.cutAfterBytes(links, cutPoint(points, behind));
      left -= 1;
    }
  }
  async function write(): Promise<void> {
    for (let nextBurstMs = performance.now(); !isOver(); ) {
      await writer.write();
      await pauseMs(writePauseMs);
      if (performance.now() < nextBurstMs) continue;
      await burst(stage, writer);
      nextBurstMs = performance.now() + burstEachMs;
    }
    await relay.heal();
  }
  const cutting = subjects.map((subject, index) =>
    cutAgainAndAgain(subject, stage.clients[index] ?? ""),
  );
  await Promise.all([write(), ...cutting]);
}

/**
 * Leaves some watches behind by more than one of etcd's batches: only then does a batch's header name a revision whose
 * events are still to come, and resuming from it lose them.
 */
async function burst({ relay, etcd, clients }: Stage, writer: Writer): Promise<void> {
  const slow = clients.filter((_, index) => index % 4 === 0);
  const links = slow.flatMap((client) =>
    etcd.members.map((_, member) => etcd.clientLink(client, member).id),
  );
  await relay.blackHole({ links }, true);
  // On a connection that stays, etcd would send each event by itself, into the buffers on the way.
  await relay.cut({ links });
  for (let written = 0; written < burstRevisions; written++) await writer.write();
  await relay.blackHole({ links }, false);
}

/**
 * Bytes until the next cut: some within the handshake and the watch's creation; the others anywhere from there to
 * somewhat beyond what the watch has to catch up with. etcd sends a backlog in messages of up to 1,000 revisions, and a
 * message that is cut is lost as a whole: with small points alone, a watch that fell behind would never catch up.
 */
function cutPoint(random: Random, revisionsBehind: number): number {
  if (random.next() < 0.15) return random.integer(200);
  return random.integer(800 + 2 * revisionsBehind * revisionBytes);
}

function judge(
  writer: Writer,
  control: readonly string[],
  subjects: readonly Subject[],
): Omit<RandomCutsResult, "cuts" | "seconds"> {
  const found = subjects.map((subject) => compare(writer.written, control, subject.seen));
  const count = (kind: keyof Comparison) => found.reduce((sum, each) => sum + each[kind].length, 0);
  const kinds = ["lost", "lostByServer", "repeated", "invented", "misplaced"] as const;
  return {
    interruptions: subjects.reduce((sum, subject) => sum + subject.interruptions(), 0),
    events: new Set([...writer.written, ...control]).size,
    told: subjects.reduce((sum, subject) => sum + subject.seen.length, 0),
    lost: count("lost"),
    lostByServer: count("lostByServer"),
    repeated: count("repeated"),
    invented: count("invented"),
    misplaced: count("misplaced"),
    ended: subjects.filter((subject) => subject.isCompacted()).length,
    examples: kinds.flatMap((kind) =>
      found.flatMap((each) => each[kind].slice(0, 2).map((event) => `${kind}: ${event}`)),
    ),
  };
}
