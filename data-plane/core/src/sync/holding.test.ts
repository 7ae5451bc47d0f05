import { problem } from "@meridian/proto/base";
import { fixtureSnapshot } from "@meridian/proto/fixture";
import type { Snapshot } from "@meridian/proto/gen/snapshot_pb";
import { makePush } from "@meridian/proto/snapshot";
import { expect, test } from "vitest";
import { createHolding } from "./holding.ts";

function snapshot(sequence: number): Snapshot {
  const backend = { name: "b", region: "eu", url: "http://127.0.0.1:9", serves: [{ model: "m" }] };
  const document = {
    regions: [{ name: "eu" }],
    backends: [backend],
    models: [{ name: "m", aliases: [`content-${sequence}`] }],
    routes: [{ name: "all", match: { models: ["*"] } }],
  };
  return fixtureSnapshot("eu", document, sequence);
}

const [one, two] = [snapshot(1), snapshot(2)];
const no = [problem("too_many_targets", "b", "no room")];

/** Two pushes of two sessions, the second before the first is answered. */
function twoUnderWay(first: Snapshot, second: Snapshot): ReturnType<typeof createHolding> {
  const holding = createHolding("eu");
  const commands = [
    ...holding.push(makePush(undefined, first), 1).commands,
    ...holding.push(makePush(undefined, second), 2).commands,
  ];
  expect(commands.map((each) => each.kind)).toEqual(["activate", "activate"]);
  return holding;
}

test("what came into force after its session ended is held, and only the newest is acknowledged", () => {
  const holding = twoUnderWay(one, two);
  expect(holding.activated(1, [])).toEqual([]);
  expect(holding.held()?.hash).toBe(one.hash);
  expect(holding.activated(2, [])).toMatchObject([{ kind: "ack", session: 2, hash: two.hash }]);
  expect(holding.held()?.hash).toBe(two.hash);
});

test("when the newest is refused, what came into force before it stays held", () => {
  const holding = twoUnderWay(one, two);
  holding.activated(1, []);
  expect(holding.activated(2, no)).toMatchObject([{ kind: "nack", session: 2, problems: no }]);
  expect(holding.held()?.hash).toBe(one.hash);
});

test("a late refusal changes nothing", () => {
  const holding = twoUnderWay(one, two);
  expect(holding.activated(1, no)).toEqual([]);
  expect(holding.held()).toBeUndefined();
  holding.activated(2, []);
  expect(holding.activated(1, [])).toEqual([]);
  expect(holding.held()?.hash).toBe(two.hash);
});
