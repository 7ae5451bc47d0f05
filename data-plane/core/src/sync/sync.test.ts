import { create } from "@bufbuild/protobuf";
import { problem, seededRandom } from "@meridian/proto/base";
import { fixtureSnapshot } from "@meridian/proto/fixture";
import type { Snapshot } from "@meridian/proto/gen/snapshot_pb";
import { type StateFrame, StateFrameSchema } from "@meridian/proto/gen/sync_pb";
import { makePush } from "@meridian/proto/snapshot";
import { describe, expect, test } from "vitest";
import type { SyncCommand, SyncLimits } from "./events.ts";
import { createSync, type Sync } from "./sync.ts";

const region = "eu-west";

function snapshot(sequence: number, alias = `content-${sequence}`, of = region): Snapshot {
  return fixtureSnapshot(of, policyWith(alias), sequence);
}

function policyWith(alias: string) {
  const backends = [region, "us-east"].map((each) => ({
    name: `backend-${each}`,
    region: each,
    url: "http://127.0.0.1:9",
    serves: [{ model: "m" }],
  }));
  return {
    regions: [{ name: region }, { name: "us-east" }],
    backends,
    models: [{ name: "m", aliases: [alias] }],
    routes: [{ name: "all", match: { models: ["*"] } }],
  };
}

function frame(sequence: number, policy?: Snapshot): StateFrame {
  return create(StateFrameSchema, {
    sequence: BigInt(sequence),
    ...(policy?.version === undefined ? {} : { policy: policy.version }),
  });
}

function machine(controls = 2, limits: Partial<SyncLimits> = {}): Sync {
  return createSync({ region, controls, random: seededRandom("sync"), limits });
}

/** Pushes and answers the activation; what followed in all. */
function push(sync: Sync, session: number, from: Snapshot | undefined, to: Snapshot, now = 0) {
  const judged = sync.step({ kind: "push", session, push: makePush(from, to) }, now);
  return [...judged, ...judged.flatMap((each) => activated(sync, each, now))];
}

function activated(sync: Sync, command: SyncCommand, now = 0): readonly SyncCommand[] {
  if (command.kind !== "activate") return [];
  const { activation } = command;
  return sync.step({ kind: "activated", activation, problems: [] }, now);
}

const kinds = (commands: readonly SyncCommand[]) => commands.map((each) => each.kind);
const opened = (commands: readonly SyncCommand[]) =>
  commands.flatMap((each) => (each.kind === "open" ? [each.control] : []));

/** Lets time pass until the machine opens a session again; its command and when. */
function nextOpen(sync: Sync, until = 120_000) {
  for (;;) {
    const now = sync.wakeAt();
    if (now > until) throw new Error(`nothing was opened before ${until}`);
    const found = sync.step({ kind: "time" }, now).find((each) => each.kind === "open");
    if (found?.kind === "open") return { now, control: found.control, session: found.session };
  }
}

describe("the policy stream", () => {
  test("the first hello holds nothing, the next one what is in force", () => {
    const sync = machine();
    expect(sync.step({ kind: "start" }, 0)).toEqual([
      { kind: "open", session: 1, control: 0, held: undefined, heldHash: "" },
    ]);
    const one = snapshot(1);
    push(sync, 1, undefined, one);
    sync.step({ kind: "closed", session: 1, reason: "reset" }, 10);
    const commands = sync.step({ kind: "time" }, sync.wakeAt());
    expect(commands).toEqual([
      { kind: "open", session: 2, control: 0, held: one.version, heldHash: one.hash },
    ]);
  });

  test("a push is acknowledged only after it is in force", () => {
    const sync = machine();
    sync.step({ kind: "start" }, 0);
    const one = snapshot(1);
    const judged = sync.step({ kind: "push", session: 1, push: makePush(undefined, one) }, 0);
    expect(kinds(judged)).toEqual(["activate"]);
    expect(sync.status(0).held).toBeUndefined();
    expect(kinds(judged.flatMap((each) => activated(sync, each)))).toEqual(["ack"]);
    expect(sync.status(0).held?.hash).toBe(one.hash);
  });

  test("a delta leads on from what is held", () => {
    const sync = machine();
    sync.step({ kind: "start" }, 0);
    push(sync, 1, undefined, snapshot(1));
    expect(kinds(push(sync, 1, snapshot(1), snapshot(2)))).toEqual(["activate", "ack"]);
    expect(sync.status(0).held?.hash).toBe(snapshot(2).hash);
  });

  test.each([
    ["an older version", makePush(undefined, snapshot(1)), "version_backwards"],
    ["another region's", makePush(undefined, snapshot(9, "x", "us-east")), "region_mismatch"],
    ["a wrong hash", { ...makePush(undefined, snapshot(9)), hash: "00" }, "hash_mismatch"],
  ])("%s is refused, and the former stays in force", (_what, bad, code) => {
    const sync = machine();
    sync.step({ kind: "start" }, 0);
    push(sync, 1, undefined, snapshot(5));
    const commands = sync.step({ kind: "push", session: 1, push: bad }, 0);
    expect(commands).toMatchObject([{ kind: "nack", session: 1, version: bad.version }]);
    expect(commands[0]?.kind === "nack" && commands[0].problems[0]?.code).toBe(code);
    expect(sync.status(0).held?.hash).toBe(snapshot(5).hash);
    expect(sync.status(0).refused?.problems[0]?.code).toBe(code);
  });

  test("a snapshot that the check finds unfit is refused before anything is activated", () => {
    const sync = machine();
    sync.step({ kind: "start" }, 0);
    push(sync, 1, undefined, snapshot(5));
    const unfit = fixtureSnapshot(region, { ...policyWith("x"), models: [] }, 6);
    const commands = sync.step({ kind: "push", session: 1, push: makePush(undefined, unfit) }, 0);
    expect(kinds(commands)).toEqual(["nack"]);
    expect(sync.status(0).held?.hash).toBe(snapshot(5).hash);
  });

  test("a snapshot that the engine refuses is not acknowledged, and the former stays in force", () => {
    const sync = machine();
    sync.step({ kind: "start" }, 0);
    push(sync, 1, undefined, snapshot(1));
    const judged = sync.step(
      { kind: "push", session: 1, push: makePush(undefined, snapshot(2)) },
      0,
    );
    const activation = judged[0]?.kind === "activate" ? judged[0].activation : 0;
    const problems = [problem("unfit", "model/a", "no")];
    expect(sync.step({ kind: "activated", activation, problems }, 0)).toMatchObject([
      { kind: "nack", problems },
    ]);
    expect(sync.status(0).held?.hash).toBe(snapshot(1).hash);
  });

  test("a delta from elsewhere is refused and asks for a new hello, with backoff", () => {
    const sync = machine();
    sync.step({ kind: "start" }, 0);
    push(sync, 1, undefined, snapshot(1));
    const commands = push(sync, 1, snapshot(3), snapshot(4));
    expect(kinds(commands)).toEqual(["nack", "close"]);
    expect(sync.status(0).link).toBe("waiting");
    expect(nextOpen(sync).session).toBe(2);
  });

  test("a second push before the answer to the first ends the session", () => {
    const sync = machine();
    sync.step({ kind: "start" }, 0);
    sync.step({ kind: "push", session: 1, push: makePush(undefined, snapshot(1)) }, 0);
    const commands = sync.step(
      { kind: "push", session: 1, push: makePush(undefined, snapshot(2)) },
      0,
    );
    expect(kinds(commands)).toEqual(["close"]);
  });

  test("an activation that ends after its session is in force, but answers to nobody", () => {
    const sync = machine();
    sync.step({ kind: "start" }, 0);
    const judged = sync.step(
      { kind: "push", session: 1, push: makePush(undefined, snapshot(1)) },
      0,
    );
    sync.step({ kind: "closed", session: 1, reason: "reset" }, 1);
    expect(judged.flatMap((each) => activated(sync, each))).toEqual([]);
    expect(sync.status(1).held?.hash).toBe(snapshot(1).hash);
  });

  test("what is in force already is acknowledged without being activated again", () => {
    const sync = machine();
    sync.step({ kind: "start" }, 0);
    push(sync, 1, undefined, snapshot(1));
    expect(kinds(push(sync, 1, undefined, snapshot(1)))).toEqual(["ack"]);
  });
});

describe("offers from disk and siblings", () => {
  test("an offer is taken where nothing is held, and stands in the hello", () => {
    const sync = machine();
    const offered = sync.step({ kind: "offered", snapshot: snapshot(3), source: "disk" }, 0);
    expect(kinds(offered)).toEqual(["activate"]);
    expect(offered.flatMap((each) => activated(sync, each))).toEqual([]);
    expect(sync.step({ kind: "start" }, 0)).toMatchObject([{ heldHash: snapshot(3).hash }]);
  });

  test.each([
    ["an older one", snapshot(2)],
    ["an equal version with other content", snapshot(3, "other")],
    ["another region's", snapshot(4, "x", "us-east")],
  ])("%s is declined", (_what, offer) => {
    const sync = machine();
    sync
      .step({ kind: "offered", snapshot: snapshot(3), source: "disk" }, 0)
      .flatMap((each) => activated(sync, each));
    const commands = sync.step({ kind: "offered", snapshot: offer, source: "sibling" }, 0);
    expect(kinds(commands)).toEqual(["decline"]);
    expect(sync.status(0).held?.hash).toBe(snapshot(3).hash);
  });

  test("a body that was changed is declined", () => {
    const sync = machine();
    const good = snapshot(3);
    const [first, ...others] = good.resources;
    const bent = { ...good, resources: [{ ...first, body: new Uint8Array([1]) }, ...others] };
    // A test's own broken resource.
    const commands = sync.step({ kind: "offered", snapshot: bent as Snapshot, source: "disk" }, 0);
    expect(kinds(commands)).toEqual(["decline"]);
  });
});

describe("the state stream", () => {
  test("frames are observed in order; one that doesn't grow is dropped", () => {
    const sync = machine();
    sync.step({ kind: "start" }, 0);
    expect(kinds(sync.step({ kind: "frame", session: 1, frame: frame(2) }, 100))).toEqual([
      "observe",
    ]);
    expect(sync.step({ kind: "frame", session: 1, frame: frame(2) }, 4_000)).toEqual([]);
    expect(sync.step({ kind: "frame", session: 1, frame: frame(1) }, 4_000)).toEqual([]);
    expect(sync.status(4_100).stateAge).toEqual({ kind: "fresh", ms: 4_000 });
  });

  test.each([
    [4_999, "fresh"],
    [5_000, "ageing"],
    [29_999, "ageing"],
    [30_000, "stale"],
  ])("a state of %i ms is %s", (ms, kind) => {
    const sync = machine();
    sync.step({ kind: "start" }, 0);
    sync.step({ kind: "frame", session: 1, frame: frame(1) }, 0);
    expect(sync.status(ms).stateAge.kind).toBe(kind);
  });

  test("a session without a frame for 5 s is rebuilt, though policy was pushed on it", () => {
    const sync = machine();
    sync.step({ kind: "start" }, 0);
    push(sync, 1, undefined, snapshot(1), 4_000);
    expect(sync.wakeAt()).toBe(5_000);
    expect(sync.step({ kind: "time" }, 4_999)).toEqual([]);
    expect(kinds(sync.step({ kind: "time" }, 5_000))).toEqual(["close"]);
    expect(nextOpen(sync).now).toBeLessThanOrEqual(5_500);
  });
});

describe("reconnecting", () => {
  test("after a response within the base, however often", () => {
    const sync = machine(1);
    let now = 0;
    let session = 1;
    sync.step({ kind: "start" }, now);
    for (let round = 0; round < 50; round++) {
      sync.step({ kind: "frame", session, frame: frame(1) }, now);
      sync.step({ kind: "closed", session, reason: "end" }, now);
      const next = nextOpen(sync, Number.POSITIVE_INFINITY);
      expect(next.now - now).toBeLessThanOrEqual(500);
      ({ now, session } = next);
    }
  });

  test("without a response the bound doubles from 0.5 s to 30 s", () => {
    const bounds = [500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000];
    const longest = new Array<number>(bounds.length).fill(0);
    for (let seed = 0; seed < 200; seed++) {
      const sync = createSync({ region, controls: 1, random: seededRandom(`${seed}`) });
      let now = 0;
      let session = 1;
      sync.step({ kind: "start" }, now);
      for (const [round, bound] of bounds.entries()) {
        sync.step({ kind: "closed", session, reason: "refused" }, now);
        const next = nextOpen(sync, Number.POSITIVE_INFINITY);
        expect(next.now - now).toBeLessThanOrEqual(bound);
        longest[round] = Math.max(longest[round] ?? 0, next.now - now);
        ({ now, session } = next);
      }
    }
    for (const [round, bound] of bounds.entries()) {
      expect(longest[round] ?? 0).toBeGreaterThan(bound * 0.9);
    }
  });

  test("a proxy without control planes never connects", () => {
    const sync = machine(0);
    expect(sync.step({ kind: "start" }, 0)).toEqual([]);
    expect(sync.wakeAt()).toBe(Number.POSITIVE_INFINITY);
  });

  test("after a stop nothing is opened any more", () => {
    const sync = machine();
    sync.step({ kind: "start" }, 0);
    expect(kinds(sync.step({ kind: "stop" }, 1))).toEqual(["close"]);
    expect(sync.step({ kind: "time" }, 1_000_000)).toEqual([]);
    expect(sync.wakeAt()).toBe(Number.POSITIVE_INFINITY);
  });
});

describe("which control plane", () => {
  /** Fails every session until one goes abroad; when that was. */
  function goAbroad(sync: Sync) {
    let session = 1;
    let now = 0;
    for (;;) {
      sync.step({ kind: "closed", session, reason: "refused" }, now);
      const next = nextOpen(sync);
      if (next.control !== 0) return next;
      ({ session, now } = next);
    }
  }

  test("another region's only after 10 s without home, and then without delay", () => {
    for (let seed = 0; seed < 100; seed++) {
      const sync = createSync({ region, controls: 3, random: seededRandom(`${seed}`) });
      sync.step({ kind: "start" }, 0);
      const { now, control } = goAbroad(sync);
      expect(control).toBe(1);
      expect(now).toBeGreaterThanOrEqual(10_000);
      expect(now).toBeLessThanOrEqual(10_500);
    }
  });

  test("all are tried in turn, home among them, until one answers", () => {
    const sync = machine(3);
    sync.step({ kind: "start" }, 0);
    let { session, now, control } = goAbroad(sync);
    const tried = [control];
    for (let round = 0; round < 5; round++) {
      sync.step({ kind: "closed", session, reason: "refused" }, now);
      ({ session, now, control } = nextOpen(sync, 1_000_000));
      tried.push(control);
    }
    expect(tried).toEqual([1, 2, 0, 1, 2, 0]);
  });

  test("when home answers a probe the session moves there at once", () => {
    const sync = machine(2);
    sync.step({ kind: "start" }, 0);
    const { session, now } = goAbroad(sync);
    push(sync, session, undefined, snapshot(3), now);
    const { commands, at } = untilProbe(sync, session, now);
    const probe = commands[0]?.kind === "probe" ? commands[0].probe : 0;
    const moved = sync.step({ kind: "probe-answered", probe, frame: frame(1, snapshot(3)) }, at);
    expect(kinds(moved)).toEqual(["end-probe", "close", "open"]);
    expect(opened(moved)).toEqual([0]);
    expect(moved[2]).toMatchObject({ heldHash: snapshot(3).hash });
  });

  test("home that knows an older policy than the one in force is left alone", () => {
    const sync = machine(2);
    sync.step({ kind: "start" }, 0);
    const { session, now } = goAbroad(sync);
    push(sync, session, undefined, snapshot(3), now);
    const { commands, at } = untilProbe(sync, session, now);
    const probe = commands[0]?.kind === "probe" ? commands[0].probe : 0;
    const old = frame(1, snapshot(2));
    expect(kinds(sync.step({ kind: "probe-answered", probe, frame: old }, at))).toEqual([
      "end-probe",
    ]);
    expect(sync.status(at).control).toBe(1);
  });

  test("a probe that nobody answers is ended and asked again later", () => {
    const sync = machine(2);
    sync.step({ kind: "start" }, 0);
    const { session, now } = goAbroad(sync);
    const first = untilProbe(sync, session, now);
    let at = first.at;
    let ended: readonly SyncCommand[] = [];
    for (let sequence = 1_000; ended.length === 0; sequence++) {
      at += 1_000;
      sync.step({ kind: "frame", session, frame: frame(sequence) }, at);
      ended = sync.step({ kind: "time" }, at);
    }
    expect(kinds(ended)).toEqual(["end-probe"]);
    expect(at - first.at).toBe(5_000);
    expect(kinds(untilProbe(sync, session, at, 5_000).commands)).toEqual(["probe"]);
  });

  /** Keeps the session alive by a frame each second until the machine asks for a probe. */
  function untilProbe(sync: Sync, session: number, from: number, sequence = 1) {
    for (let second = 0; second < 60; second++) {
      const at = from + second * 1_000;
      sync.step({ kind: "frame", session, frame: frame(sequence + second) }, at);
      const commands = sync.step({ kind: "time" }, at);
      if (commands.length > 0) return { commands, at };
    }
    throw new Error("no probe within a minute");
  }
});
