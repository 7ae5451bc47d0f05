import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { ExplainResponseSchema } from "@meridian/proto/gen/admin_pb";
import { expect, test } from "vitest";
import { mergeExplanations, withOtherSide } from "./explanations.ts";

const row = (id: string) => ({ id, region: id, address: "127.0.0.1:1", build: "1" });
const response = (init: MessageInitShape<typeof ExplainResponseSchema>) =>
  create(ExplainResponseSchema, init);

const client = { id: "d1", requestId: "r", proxy: "p1", region: "eu", arrivedMs: 1_000n };
const peer = {
  id: "d2",
  requestId: "r",
  proxy: "p2",
  region: "us",
  arrivedFrom: "eu",
  arrivedMs: 990n,
};

test("the side that took the request from its client comes first, whatever the clocks say", () => {
  const merged = mergeExplanations(response({ records: [peer] }), [
    { row: row("eu"), answer: response({ records: [client] }) },
  ]);
  expect(merged.records.map((each) => each.id)).toEqual(["d1", "d2"]);
});

test("a record that two control planes bring is there once", () => {
  const answer = response({ records: [client] });
  const merged = mergeExplanations(answer, [{ row: row("us"), answer }]);
  expect(merged.records).toHaveLength(1);
});

test("a proxy that anybody reached counts as asked", () => {
  const merged = mergeExplanations(
    response({ proxies: [{ proxy: "p", region: "eu", failure: "not heard of for 12 s" }] }),
    [{ row: row("us"), answer: response({ proxies: [{ proxy: "p", region: "eu" }] }) }],
  );
  expect(merged.proxies).toMatchObject([{ proxy: "p", failure: "" }]);
});

test("control planes that did not answer are named", () => {
  const merged = mergeExplanations(response({}), [{ row: row("us"), answer: undefined }]);
  expect(merged.unreachedControlPlanes).toEqual(["us"]);
});

test("the other side of a hop is what was under way at the same time, not a later use of the id", () => {
  const later = { ...peer, id: "d3", arrivedMs: 600_000n };
  const found = withOtherSide(
    response({ records: [{ ...client, durationMs: 500 }] }),
    response({ records: [client, peer, later] }),
  );
  expect(found.records.map((each) => each.id)).toEqual(["d1", "d2"]);
});
