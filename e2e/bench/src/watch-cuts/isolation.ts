// One member of three falls silent with its sockets open: how long until the watch notices, and is served by another.

import { type Etcd, startEtcd, startRelay } from "@meridian/harness";
import type { Random } from "@meridian/proto/base";
import { compare } from "./comparison.ts";
import { openControlWatch } from "./control-watch.ts";
import { pauseMs, settles } from "./settle.ts";
import { openEtcd, openSubject, revisionOf } from "./subject.ts";
import { openWriter, type Writer } from "./writer.ts";

export type Isolation = {
  readonly name: string;
  /** The watcher's own member, which is the one to fall silent. */
  readonly member: number;
  /** peers: it is cut off from the others, and still talks to the watcher. all: it talks to nobody. */
  readonly reach: "peers" | "all";
};

/** The member with which all begin is a follower, but in the last. */
export const isolations: readonly Isolation[] = [
  { name: "black-holed", member: 1, reach: "all" },
  { name: "cut off from its peers", member: 1, reach: "peers" },
  { name: "cut off from its peers while it leads", member: 0, reach: "peers" },
];

export type IsolationResult = {
  readonly name: string;
  /** From the isolation to the watch's word that it is interrupted. NaN: never. */
  readonly noticedMs: number;
  /** From the isolation to the first event written after it. NaN: never. */
  readonly servedMs: number;
  /** Events lost, repeated, invented or out of order, healing included. */
  readonly wrong: number;
};

const prefix = "/w/";
const writePauseMs = 50;
const waitMs = 40_000;

/** Runs them one after another on one etcd of three members, as far apart as regions are. */
export async function isolateInTurn(
  turns: readonly Isolation[],
  random: Random,
): Promise<readonly IsolationResult[]> {
  const relay = await startRelay();
  const etcd = await startEtcd({ members: 3, relay });
  try {
    const results: IsolationResult[] = [];
    for (const [index, isolation] of turns.entries()) {
      results.push(await isolate({ etcd, isolation, random: random.fork(`turn-${index}`) }));
    }
    return results;
  } finally {
    await etcd.stop();
    await relay.close();
  }
}

type Turn = { readonly etcd: Etcd; readonly isolation: Isolation; readonly random: Random };

async function isolate({ etcd, isolation, random }: Turn): Promise<IsolationResult> {
  await etcd.lead(0);
  const witness = etcd.member(2);
  const member = etcd.member(isolation.member);
  // The writer and the uncut watcher use a member that stays with the majority.
  const direct = await openEtcd([witness.directUrl], random.fork("direct"));
  const writer = openWriter({
    store: direct,
    prefix,
    random: random.fork("writer"),
    keys: 50,
    valueBytesMax: 50,
  });
  const control = await openControlWatch(witness.directUrl, prefix);
  const clock = openClock();
  const from = (await revisionOf(direct)) + 1;
  const subject = await openSubject({
    endpoints: etcd.endpoints(member.region),
    prefix,
    from,
    random: random.fork("subject"),
    onNotice: (notice) => {
      if (notice.kind === "interrupted") clock.notice();
      if (notice.kind === "events") clock.event(notice.revision);
    },
  });
  const writing = keepWriting(writer);
  try {
    const hole = (on: boolean) =>
      isolation.reach === "all" ? member.blackHole(on) : member.isolate(on);
    const hasBegun = await settles(() => subject.revision() > from, waitMs);
    if (!hasBegun) throw new Error("the watch was never served");
    await hole(true);
    clock.start(writer.revision());
    await settles(clock.isServed, waitMs);
    await hole(false);
    await writing.stop();
    const complete = () =>
      subject.revision() >= writer.revision() && subject.revision() === control.revision();
    await settles(complete, waitMs);
    const found = compare(writer.written, control.seen, subject.seen);
    const wrong = Object.values(found).reduce((sum, marks) => sum + marks.length, 0);
    return { name: isolation.name, ...clock.read(), wrong };
  } finally {
    await writing.stop();
    control.close();
    await subject.close();
    await direct.close();
  }
}

/** Takes the times of one isolation. */
function openClock() {
  let startedMs = Number.NaN;
  let revisionAtStart = Number.POSITIVE_INFINITY;
  let noticedMs = Number.NaN;
  let servedMs = Number.NaN;
  const isRunning = () => !Number.isNaN(startedMs);
  return {
    start: (revision: number) => {
      startedMs = performance.now();
      // A write under way at the start may still come by on the old way: the one after it cannot.
      revisionAtStart = revision + 1;
    },
    notice: () => {
      if (isRunning() && Number.isNaN(noticedMs)) noticedMs = performance.now() - startedMs;
    },
    event: (revision: number) => {
      const isNew = isRunning() && revision > revisionAtStart;
      if (isNew && Number.isNaN(servedMs)) servedMs = performance.now() - startedMs;
    },
    isServed: () => !Number.isNaN(servedMs),
    read: () => ({ noticedMs, servedMs }),
  };
}

/** Writes until it is told to stop; a write without an outcome (the leader changes) is tried again, and not counted. */
function keepWriting(writer: Writer) {
  let isStopping = false;
  const done = (async () => {
    while (!isStopping) {
      await writer.write().catch(() => undefined);
      await pauseMs(writePauseMs);
    }
  })();
  return {
    stop: () => {
      isStopping = true;
      return done;
    },
  };
}
