import { create } from "@bufbuild/protobuf";
import { problem } from "@meridian/proto/base";
import { VersionSchema } from "@meridian/proto/gen/snapshot_pb";
import { expect, test } from "vitest";
import {
  openSubscription,
  type SnapshotRef,
  type Subscription,
  type SubscriptionCommand,
  type SubscriptionEvent,
  stepSubscription,
  subscriptionDueAt,
  subscriptionLimits,
} from "./subscription.ts";

const ref = (sequence: number, hash: string, epoch = 1): SnapshotRef => ({
  version: create(VersionSchema, { epoch: BigInt(epoch), sequence: BigInt(sequence) }),
  hash,
});
const [one, two, three] = [ref(1, "A"), ref(2, "B"), ref(3, "C")];
const published = (snapshot: SnapshotRef): SubscriptionEvent => ({ kind: "published", snapshot });
const hello = (held?: SnapshotRef): SubscriptionEvent => ({ kind: "hello", held });
const ack = (to: SnapshotRef): SubscriptionEvent => ({ kind: "ack", ...to });
const nack = (to: SnapshotRef, code = "unfit"): SubscriptionEvent => ({
  kind: "nack",
  version: to.version,
  problems: [problem(code, "", "no")],
});
const entered: SubscriptionEvent = { kind: "entered" };
const push = (fromHash: string, to: SnapshotRef): SubscriptionCommand => ({
  kind: "push",
  fromHash,
  to,
});

/** Feeds events to a subscription; every snapshot but Z is at hand. */
function run(...events: readonly SubscriptionEvent[]) {
  let state: Subscription = openSubscription(0);
  const commands: (readonly SubscriptionCommand[])[] = [];
  for (const event of events) {
    const stepped = stepSubscription(state, event, { now: 0, holds: (hash) => hash !== "Z" });
    state = stepped.state;
    commands.push(stepped.commands);
  }
  return { state, commands, last: commands.at(-1) };
}

test("a proxy that holds something gets the difference, one that holds nothing waits for a place", () => {
  expect(run(published(two), hello(one)).last).toEqual([push("A", two)]);
  expect(run(hello(one), published(two)).last).toEqual([push("A", two)]);
  expect(run(published(two), hello()).last).toEqual([{ kind: "enter" }]);
  expect(run(published(two), hello(), entered).last).toEqual([push("", two)]);
});

test("a proxy whose snapshot is not at hand gets the whole", () => {
  expect(run(published(two), hello(ref(1, "Z")), entered).last).toEqual([push("", two)]);
});

test("a proxy that holds the newest gets nothing", () => {
  expect(run(published(one), hello(one)).last).toEqual([]);
});

test("equal content of a later version is pushed, so that the version is known to be applied", () => {
  expect(run(published(ref(2, "A")), hello(one)).last).toEqual([push("A", ref(2, "A"))]);
});

test("while a push is under way the next waits, and only the newest of them follows", () => {
  const ran = run(published(one), hello(ref(0, "0")), published(two), published(three), ack(one));
  expect(ran.commands.slice(1)).toEqual([[push("0", one)], [], [], [push("A", three)]]);
});

test("what is published while a place is awaited is what goes out", () => {
  expect(run(hello(), published(one), published(two), entered).last).toEqual([push("", two)]);
});

test("an answer to a whole snapshot gives the place back before anything else follows", () => {
  expect(run(hello(), published(one), entered, published(two), ack(one)).last).toEqual([
    { kind: "leave" },
    push("A", two),
  ]);
  expect(run(hello(), published(one), entered, nack(one)).last).toEqual([{ kind: "leave" }]);
});

test("a proxy that is ahead is left alone until this control plane has caught up", () => {
  expect(run(published(one), hello(two)).last).toEqual([]);
  expect(run(published(one), hello(two), published(three)).last).toEqual([push("B", three)]);
  expect(run(published(ref(9, "I", 1)), hello(ref(1, "A", 2))).last).toEqual([]);
});

test("an older publication than the newest changes nothing", () => {
  expect(run(published(three), published(two), hello(one)).last).toEqual([push("A", three)]);
});

test("a refused hash is not sent again, whatever comes in between; a later one is", () => {
  const ran = run(
    published(two),
    hello(one),
    nack(two),
    published(ref(3, "B")),
    published(ref(4, "D")),
  );
  expect(ran.commands.slice(2)).toEqual([[], [], [push("A", ref(4, "D"))]]);
  expect(
    run(published(two), hello(one), nack(two), published(three), ack(three), published(ref(4, "B")))
      .last,
  ).toEqual([]);
});

test.each(["delta_mismatch", "hash_mismatch"])(
  "a difference refused for %s is followed by the whole, once",
  (code) => {
    const events = [published(two), hello(one), nack(two, code), entered];
    expect(run(...events).commands.slice(2)).toEqual([[{ kind: "enter" }], [push("", two)]]);
    expect(run(...events, nack(two, code), published(two)).commands.slice(4)).toEqual([
      [{ kind: "leave" }],
      [],
    ]);
    expect(run(...events, ack(two), published(three)).last).toEqual([push("B", three)]);
  },
);

test.each<[string, readonly SubscriptionEvent[]]>([
  ["a second hello", [hello(one), hello(one)]],
  ["an answer before hello", [ack(one)]],
  ["an answer to nothing", [published(one), hello(one), ack(one)]],
  ["an answer to another version", [published(two), hello(one), ack(three)]],
  ["an answer with another hash", [published(two), hello(one), ack({ ...two, hash: "x" })]],
  [
    "a refusal without a version",
    [published(two), hello(one), { kind: "nack", version: undefined, problems: [] }],
  ],
])("%s ends the stream, and nothing follows", (_, events) => {
  const ran = run(...events, published(ref(9, "N")), entered, hello(one), nack(one));
  expect(ran.commands[events.length - 1]?.at(-1)).toMatchObject({ kind: "close" });
  expect(ran.commands.slice(events.length).flat()).toEqual([]);
});

test("a stream that ends by itself gives its place back", () => {
  expect(run(published(one), hello(), entered, ack(two)).last).toMatchObject([
    { kind: "leave" },
    { kind: "close" },
  ]);
  expect(run(published(one), hello(), hello()).last).toMatchObject([
    { kind: "leave" },
    { kind: "close" },
  ]);
});

test("a place that is no longer needed when it is given goes back at once", () => {
  const ran = run(
    published(two),
    hello(one),
    nack(two),
    published(three),
    nack(three, "delta_mismatch"),
    published(ref(4, "B")),
    entered,
  );
  expect(ran.commands.slice(4)).toEqual([[{ kind: "enter" }], [], [{ kind: "leave" }]]);
});

test("silence ends the stream: before hello, and after a push", () => {
  const context = (now: number) => ({ now, holds: () => true });
  const greeting = openSubscription(100);
  expect(subscriptionDueAt(greeting)).toBe(100 + subscriptionLimits.helloMs);
  const early = stepSubscription(greeting, { kind: "time" }, context(10_099));
  expect(early.commands).toEqual([]);
  const late = stepSubscription(greeting, { kind: "time" }, context(10_100));
  expect(late.commands).toMatchObject([{ kind: "close" }]);
  expect(subscriptionDueAt(late.state)).toBeUndefined();

  const idle = stepSubscription(greeting, hello(one), context(200)).state;
  expect(subscriptionDueAt(idle)).toBeUndefined();
  const pushing = stepSubscription(idle, published(two), context(300)).state;
  expect(subscriptionDueAt(pushing)).toBe(300 + subscriptionLimits.answerMs);
  const timedOut = stepSubscription(pushing, { kind: "time" }, context(30_300));
  expect(timedOut.commands).toMatchObject([{ kind: "close" }]);
});

test("what is remembered of refusals is bounded", () => {
  let state = run(hello(one)).state;
  for (let sequence = 2; sequence < 100; sequence++) {
    const next = ref(sequence, `H${sequence}`);
    for (const event of [published(next), nack(next)]) {
      state = stepSubscription(state, event, { now: 0, holds: () => true }).state;
    }
  }
  expect(state.refused).toHaveLength(subscriptionLimits.refusedMax);
});
