import { create } from "@bufbuild/protobuf";
import { seededRandom } from "@meridian/proto/base";
import { fixtureSnapshot } from "@meridian/proto/fixture";
import { StateFrameSchema } from "@meridian/proto/gen/sync_pb";
import { makePush } from "@meridian/proto/snapshot";
import { expect, test } from "vitest";
import { createSync } from "./sync.ts";

const region = "eu-west";
const snapshot = fixtureSnapshot(
  region,
  {
    regions: [{ name: region }],
    backends: [{ name: "a", region, url: "http://127.0.0.1:9", serves: [{ model: "m" }] }],
    models: [{ name: "m" }],
    routes: [{ name: "all", match: { models: ["*"] } }],
  },
  1,
);

test("a frame of a control plane that knows no policy leaves drains and ages standing", () => {
  const sync = createSync({ region, controls: 1, random: seededRandom("blank"), limits: {} });
  sync.step({ kind: "start" }, 0);
  const push = makePush(undefined, snapshot);
  for (const each of sync.step({ kind: "push", session: 1, push }, 0)) {
    if (each.kind !== "activate") continue;
    sync.step({ kind: "activated", activation: each.activation, problems: [] }, 0);
  }
  const { version } = snapshot;
  if (version === undefined) throw new Error("the fixture has a version");
  const full = create(StateFrameSchema, { sequence: 1n, policy: version });
  const blank = create(StateFrameSchema, { sequence: 2n });
  expect(sync.step({ kind: "frame", session: 1, frame: full }, 100)).toMatchObject([
    { kind: "observe" },
  ]);
  expect(sync.step({ kind: "frame", session: 1, frame: blank }, 3_000)).toEqual([]);
  expect(sync.status(3_100).stateAge).toEqual({ kind: "fresh", ms: 3_000 });
});
