// The promises of the machine under any order of events, honest or not.

import { create } from "@bufbuild/protobuf";
import { problem, seededRandom } from "@meridian/proto/base";
import { checkSnapshot } from "@meridian/proto/check-snapshot";
import { fixtureSnapshot } from "@meridian/proto/fixture";
import type { Snapshot } from "@meridian/proto/gen/snapshot_pb";
import { type PolicyPush, StateFrameSchema } from "@meridian/proto/gen/sync_pb";
import { compareVersions, makePush } from "@meridian/proto/snapshot";
import fc from "fast-check";
import { expect, test } from "vitest";
import { defaultSyncLimits, type SyncCommand, type SyncEvent } from "./events.ts";
import { createSync, type Sync } from "./sync.ts";

const region = "eu-west";
const longestGap = defaultSyncLimits.backoffCapMs + defaultSyncLimits.silenceMs;

const backends = [region, "us-east"].map((each) => ({
  name: `backend-${each}`,
  region: each,
  url: "http://127.0.0.1:9",
  serves: [{ model: "m" }],
}));

const contents = Array.from({ length: 6 }, (_, sequence) => {
  // Each differs from the one before in one resource, and in which routes there are.
  const policy = {
    regions: [{ name: region }, { name: "us-east" }],
    backends,
    models: [{ name: "m", aliases: [`content-${sequence}`] }],
    routes: [{ name: `all-${sequence % 2}`, match: { models: ["*"] } }],
  };
  return [region, "us-east"].map((of) => fixtureSnapshot(of, policy, sequence));
});
const snapshots = contents.map((each) => each[0]).filter((each) => each !== undefined);
const foreign = contents.map((each) => each[1]).filter((each) => each !== undefined);

/** What may befall a proxy. Session and probe numbers are relative to the newest: 0 is it, 1 the one before. */
type Happening =
  | { readonly kind: "time"; readonly ms: number }
  | {
      readonly kind: "push";
      readonly ago: number;
      readonly push: PolicyPush;
      readonly fits: boolean;
    }
  | { readonly kind: "frame"; readonly ago: number; readonly sequence: number }
  | { readonly kind: "closed"; readonly ago: number }
  | { readonly kind: "probe"; readonly ago: number; readonly answers: boolean }
  | { readonly kind: "offer"; readonly snapshot: Snapshot; readonly fits: boolean };

const ago = fc.integer({ min: 0, max: 2 }).map((each) => Math.max(0, each - 1));
const anySnapshot = fc.constantFrom(...snapshots, ...foreign);
const anyPush = fc
  .tuple(fc.option(fc.constantFrom(...snapshots), { nil: undefined }), anySnapshot, fc.nat(9))
  .map(([from, to, bend]) => {
    const push = makePush(from, to);
    return bend === 0 ? { ...push, hash: "bent" } : push;
  });
const happening: fc.Arbitrary<Happening> = fc.oneof(
  fc.record({ kind: fc.constant("time" as const), ms: fc.nat(12_000) }),
  fc.record({ kind: fc.constant("push" as const), ago, push: anyPush, fits: fc.boolean() }),
  fc.record({ kind: fc.constant("frame" as const), ago, sequence: fc.nat(50) }),
  fc.record({ kind: fc.constant("closed" as const), ago }),
  fc.record({ kind: fc.constant("probe" as const), ago, answers: fc.boolean() }),
  fc.record({ kind: fc.constant("offer" as const), snapshot: anySnapshot, fits: fc.boolean() }),
);
const life = fc.record({
  seed: fc.string(),
  controls: fc.integer({ min: 1, max: 3 }),
  happenings: fc.array(happening, { maxLength: 60 }),
});

/** A shell that carries out commands in its head and checks each of them. */
class Shell {
  readonly sync: Sync;
  now = 0;
  live: number | undefined;
  control = 0;
  newest = 0;
  probe: number | undefined;
  opened = 0;
  homeHeardAt = 0;
  quietSince = 0;

  constructor(seed: string, controls: number) {
    this.sync = createSync({ region, controls, random: seededRandom(seed) });
    this.send({ kind: "start" }, true);
  }

  /** One event with all that follows; activations are answered as `fits` says. */
  send(event: SyncEvent, fits: boolean): readonly SyncCommand[] {
    const before = this.sync.status(this.now).held;
    const commands = [...this.sync.step(event, this.now)];
    for (const command of [...commands]) {
      if (command.kind !== "activate") continue;
      const problems = fits ? [] : [problem("unfit", "", "no")];
      commands.push(
        ...this.sync.step(
          { kind: "activated", activation: command.activation, problems },
          this.now,
        ),
      );
    }
    if (!fits) expect(this.sync.status(this.now).held).toBe(before);
    if (event.kind === "closed" && event.session === this.live) this.lost();
    for (const command of commands) this.check(command, before);
    this.checkVersions(before);
    return commands;
  }

  /** Lets time pass as a shell does: no later than each time that the machine asks for. */
  wait(ms: number): void {
    const end = this.now + ms;
    while (this.sync.wakeAt() <= end) {
      this.now = Math.max(this.now, this.sync.wakeAt());
      this.send({ kind: "time" }, true);
    }
    this.now = end;
    if (this.live === undefined) expect(this.now - this.quietSince).toBeLessThanOrEqual(longestGap);
  }

  private check(command: SyncCommand, before: Snapshot | undefined): void {
    const { held } = this.sync.status(this.now);
    switch (command.kind) {
      case "open":
        expect(this.live).toBeUndefined();
        if (command.control !== 0) {
          expect(this.now - this.homeHeardAt).toBeGreaterThanOrEqual(defaultSyncLimits.homeWaitMs);
        }
        expect(command.heldHash).toBe(held?.hash ?? "");
        this.live = command.session;
        this.newest = command.session;
        this.control = command.control;
        this.opened += 1;
        break;
      case "close":
        expect(command.session).toBe(this.live);
        this.lost();
        break;
      case "ack":
        expect(command.session).toBe(this.live);
        expect(command.hash).toBe(held?.hash);
        break;
      case "nack":
      case "decline":
        expect(held).toBe(before);
        break;
      case "probe":
        expect(this.probe).toBeUndefined();
        expect(this.control).not.toBe(0);
        this.probe = command.probe;
        break;
      case "end-probe":
        expect(command.probe).toBe(this.probe);
        this.probe = undefined;
        break;
      case "activate":
      case "observe":
        break;
    }
  }

  private lost(): void {
    this.live = undefined;
    this.quietSince = this.now;
  }

  private checkVersions(before: Snapshot | undefined): void {
    const after = this.sync.status(this.now).held;
    if (before === undefined) return;
    expect(after).toBeDefined();
    if (before.version === undefined || after?.version === undefined) return;
    expect(compareVersions(after.version, before.version)).toBeGreaterThanOrEqual(0);
    expect(after.region).toBe(region);
  }
}

function live(shell: Shell, each: Happening): void {
  switch (each.kind) {
    case "time":
      shell.wait(each.ms);
      return;
    case "push": {
      const session = shell.newest - each.ago;
      if (session === shell.live && shell.control === 0) shell.homeHeardAt = shell.now;
      shell.send({ kind: "push", session, push: each.push }, each.fits);
      return;
    }
    case "frame": {
      const session = shell.newest - each.ago;
      const frame = create(StateFrameSchema, { sequence: BigInt(each.sequence) });
      const observed = shell.send({ kind: "frame", session, frame }, true);
      if (observed.length > 0 && shell.control === 0) shell.homeHeardAt = shell.now;
      return;
    }
    case "closed":
      shell.send({ kind: "closed", session: shell.newest - each.ago, reason: "test" }, true);
      return;
    case "probe": {
      const probe = (shell.probe ?? 0) - each.ago;
      const policy = snapshots.at(-1)?.version;
      const frame = create(StateFrameSchema, policy === undefined ? {} : { policy });
      const asked = shell.probe !== undefined && each.ago === 0;
      if (asked) shell.probe = undefined;
      if (!asked || !each.answers) {
        shell.send({ kind: "probe-closed", probe }, true);
        return;
      }
      shell.probe = probe;
      shell.homeHeardAt = shell.now;
      shell.send({ kind: "probe-answered", probe, frame }, true);
      return;
    }
    case "offer":
      shell.send({ kind: "offered", snapshot: each.snapshot, source: "sibling" }, each.fits);
  }
}

test("the snapshots that these tests push are fit to be applied, but for the foreign ones", () => {
  expect(
    snapshots.flatMap((each) => checkSnapshot(each).filter((found) => !found.warning)),
  ).toEqual([]);
  const versions = Array.from({ length: 20 }, (_, seed) => {
    const shell = new Shell(`${seed}`, 2);
    const drawn = fc.sample(happening, { numRuns: 60, seed });
    for (const each of drawn) live(shell, each);
    return shell.sync.status(shell.now).held?.version?.sequence ?? -1n;
  });
  expect(new Set(versions).size).toBeGreaterThan(2);
});

test("never backwards, one session, hello tells the truth, a refusal changes nothing, abroad only after the wait", () => {
  fc.assert(
    fc.property(life, ({ seed, controls, happenings }) => {
      const shell = new Shell(seed, controls);
      for (const each of happenings) live(shell, each);
    }),
    { numRuns: 500 },
  );
});

test("whatever happened, it connects again within the longest backoff", () => {
  fc.assert(
    fc.property(life, ({ seed, controls, happenings }) => {
      const shell = new Shell(seed, controls);
      for (const each of happenings) live(shell, each);
      const before = shell.opened;
      shell.wait(longestGap);
      expect(shell.live !== undefined || shell.opened > before).toBe(true);
      shell.wait(longestGap * 2);
      expect(shell.opened).toBeGreaterThan(before);
    }),
    { numRuns: 300 },
  );
});

test("an honest control plane brings any proxy to its own version", () => {
  fc.assert(
    fc.property(life, ({ seed, controls, happenings }) => {
      const shell = new Shell(seed, controls);
      for (const each of happenings) live(shell, each);
      const goal = snapshots.at(-1);
      if (goal === undefined) throw new Error("no snapshot");
      for (let round = 0; round < 200 && shell.live === undefined; round++) shell.wait(1_000);
      const session = shell.live ?? 0;
      const { held } = shell.sync.status(shell.now);
      shell.send({ kind: "push", session, push: makePush(held, goal) }, true);
      expect(shell.sync.status(shell.now).held?.hash).toBe(goal.hash);
    }),
    { numRuns: 300 },
  );
});
