// Watches whose connections are cut at random bytes while a writer writes, beside one whose connection never is.

import { type Etcd, type Link, type Relay, startEtcd, startRelay } from "@meridian/harness";
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
  /** Some of what went wrong, for a person. */
  readonly examples: readonly string[];
  readonly seconds: number;
};

const prefix = "/w/";
const writePauseMs = 3;
const catchUpMs = 60_000;

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
    valueBytesMax: 300,
  });
  const control = await openControlWatch(url, prefix);
  const from = (await revisionOf(direct)) + 1;
  const subjects = await Promise.all(
    stage.clients.map((client) =>
      openSubject({ endpoints: etcd.endpoints(client), prefix, from, random: random.fork(client) }),
    ),
  );
  try {
    await writeWhileCutting(stage, writer);
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
async function writeWhileCutting(stage: Stage, writer: Writer): Promise<void> {
  const { relay, etcd, random } = stage;
  const links = stage.clients.flatMap((client) =>
    etcd.members.map((_, member) => etcd.clientLink(client, member)),
  );
  const points = random.fork("cuts");
  const deadlineMs = performance.now() + stage.timeoutMs;
  let left = stage.cuts;
  const isOver = () => left <= 0 || performance.now() > deadlineMs;

  async function cutAgainAndAgain(link: Link): Promise<void> {
    while (!isOver()) {
      await relay.cutAfterBytes(link, cutPoint(points));
      left -= 1;
    }
  }
  async function write(): Promise<void> {
    while (!isOver()) {
      await writer.write();
      await pauseMs(writePauseMs);
    }
    await relay.heal();
  }
  await Promise.all([write(), ...links.map(cutAgainAndAgain)]);
}

/**
 * Bytes until the next cut. Few: within the handshake or the watch's creation. Most: within a few events. Some: far into
 * a backlog's 1,000-revision batch, and beyond it, so that a watch that fell behind can catch up.
 */
function cutPoint(random: Random): number {
  const kind = random.next();
  if (kind < 0.1) return random.integer(200);
  return kind < 0.97 ? random.integer(5_000) : random.integer(1_000_000);
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
    examples: kinds.flatMap((kind) =>
      found.flatMap((each) => each[kind].slice(0, 2).map((event) => `${kind}: ${event}`)),
    ),
  };
}
