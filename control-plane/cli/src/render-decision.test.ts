import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { ExplainResponseSchema } from "@meridian/proto/gen/admin_pb";
import { DecisionRecordSchema } from "@meridian/proto/gen/decision_pb";
import { expect, test } from "vitest";
import { renderDecisions, renderUnanswered } from "./render-decision.ts";

/** Fields of a record, not a finished message. */
type Fields = Exclude<
  MessageInitShape<typeof DecisionRecordSchema>,
  { readonly $typeName: string }
>;

const record = (more: Fields = {}) =>
  create(DecisionRecordSchema, {
    id: "dec_1",
    requestId: "req_1",
    proxy: "proxy-eu-1",
    region: "eu",
    arrivedMs: 1_700_000_000_000n,
    tenant: "acme",
    askedModel: "small",
    model: "llama",
    route: "chat",
    kind: "chat",
    stream: true,
    revision: "1.42",
    stateAgeMs: 420,
    ending: "complete",
    status: 200,
    answeredBy: "eu",
    firstTokenMs: 75.4,
    durationMs: 812,
    ownMs: 0.31,
    usage: { inputTokens: 12, outputTokens: 80, exact: true },
    attempts: [
      {
        attempt: 1,
        target: "eu-a",
        targetKind: "backend",
        region: "eu",
        role: "first",
        reason: "least score",
        considered: [
          { name: "eu-b", score: 5463.7 },
          { name: "eu-a", score: 0.123456 },
        ],
        startedMs: 0.4,
        endedMs: 12.6,
        outcome: "failed",
        failure: {
          kind: "status",
          status: 500,
          message: "the model server answered with status 500",
        },
      },
      {
        attempt: 2,
        target: "us/10.0.0.1:9",
        targetKind: "peer",
        region: "us",
        role: "retry",
        reason: "nobody else here",
        startedMs: 12.7,
        headersMs: 60,
        firstTokenMs: 75.4,
        endedMs: 811,
        outcome: "complete",
        slow: true,
      },
    ],
    ...more,
  });

test("a record is a page: what happened, each attempt with its reason, then the circumstances", () => {
  expect(renderDecisions([record()])).toBe(
    `dec_1: answered (200) by its own region after 812 ms, 2 attempts
  1 first eu-a in eu: failed; called at 0.4 ms, ended at 13 ms
      because least score; scores (less is better) eu-a 0.123, eu-b 5464
      failure status 500: the model server answered with status 500
  2 retry us/10.0.0.1:9: complete, slow; called at 13 ms, headers at 60 ms, first token at 75 ms, ended at 811 ms
      because nobody else here
  request  req_1: chat, streamed, tenant acme
  model    llama (asked for as small), route chat
  arrived  2023-11-14T22:13:20.000Z from a client
  proxy    proxy-eu-1 in eu
  state    policy 1.42, state 420 ms old
  time     first token 75 ms, all 812 ms, Meridian's own 0.31 ms
  usage    12 tokens in, 80 out, as the upstream counted
`,
  );
});

test.each([
  [
    { ending: "broken", errorCode: "upstream_stalled" },
    "broke in mid-answer with upstream_stalled",
  ],
  [{ ending: "refused", errorCode: "overloaded", answeredBy: "" }, "refused with overloaded"],
  [{ ending: "rejected" }, "refused the request as faulty"],
  [{ ending: "client-gone", status: 499 }, "the client left (499)"],
  [{ continued: true }, "answered, continued on another candidate"],
  [{ answeredBy: "us" }, "by us after"],
])("%j reads %s", (more, words) => {
  expect(renderDecisions([record(more)]).split("\n")[0]).toContain(words);
});

test("a request that waited for a place says how long", () => {
  expect(renderDecisions([record({ heldMs: 340 })])).toContain(
    "all 812 ms, held 340 ms for a place, Meridian's own 0.31 ms",
  );
});

test("a request that was copied says where to", () => {
  expect(renderDecisions([record({ shadow: "new" })])).toContain("copy     to new, whose answer");
  expect(renderDecisions([record({})])).not.toContain("copy");
});

test("what is not known is said to be so", () => {
  const bare = create(DecisionRecordSchema, {
    id: "dec_2",
    ending: "refused",
    cause: "nobody there",
  });
  const text = renderDecisions([bare]);
  for (const part of ["no state of the regions", "no token", "nobody there"]) {
    expect(text).toContain(part);
  }
  expect(text).not.toContain("usage");
});

test("of a large pool the best few are shown", () => {
  const considered = Array.from({ length: 40 }, (_, at) => ({ name: `b${at}`, score: 40 - at }));
  const text = renderDecisions([record({ attempts: [{ attempt: 1, considered }] })]);
  expect(text).toContain("b39 1, b38 2");
  expect(text).toContain("and 32 more");
});

test("names from elsewhere can't write lines of their own or colour the terminal", () => {
  const evil = "x\n2 retry eu-b: complete\u001b[31m";
  const text = renderDecisions([
    record({ tenant: evil, attempts: [{ target: evil, reason: evil }] }),
  ]);
  expect(text).not.toContain("\u001b");
  expect(text.split("\n").filter((line) => line.trim().startsWith("2 retry"))).toEqual([]);
});

const answer = (init: MessageInitShape<typeof ExplainResponseSchema>) =>
  create(ExplainResponseSchema, init);

test("an unknown id is told with what each proxy remembers, and who was not asked", () => {
  const text = renderUnanswered(
    "dec_9",
    answer({
      proxies: [
        { proxy: "p1", region: "eu", oldestMs: 1_700_000_000_000n },
        { proxy: "p2", region: "us", failure: "no answer within 2000 ms" },
      ],
      unreachedControlPlanes: ["control-ap"],
    }),
  );
  expect(text).toBe(
    `meridian: no record of dec_9 at 1 proxy: it is of a proxy that could not be asked, too old, mistyped, or has not ended yet
p1 in eu remembers requests since 2023-11-14T22:13:20.000Z
not asked: p2 in us: no answer within 2000 ms
not asked: the proxies of control-ap, which did not answer
`,
  );
});

test("when everybody was asked, nobody is suspected of knowing more", () => {
  const text = renderUnanswered("dec_9", answer({ proxies: [{ proxy: "p1", region: "eu" }] }));
  expect(text).toContain("it is too old, mistyped, or of a request that has not ended yet");
  expect(text).toContain("p1 in eu remembers nothing yet");
});

test("a record that was found is no reason to speak of proxies that answered", () => {
  expect(
    renderUnanswered("dec_1", answer({ records: [record()], proxies: [{ proxy: "p1" }] })),
  ).toBe("");
});
