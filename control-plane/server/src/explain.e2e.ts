// Questions to proxies, over the real lane, with proxies that answer by hand.

import { status } from "@grpc/grpc-js";
import { AdminService, type ExplainResponse } from "@meridian/proto/gen/admin_pb";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { callUnary } from "./test-calls.ts";
import { TestProxy } from "./test-proxy.ts";
import { Rig, testPolicy } from "./test-rig.ts";

let rig: Rig;
let proxies = 0;

beforeAll(async () => {
  rig = await Rig.start();
  await rig.apply(testPolicy());
});
afterAll(async () => {
  await rig?.stop();
});

function explain(id: string): Promise<ExplainResponse> {
  return callUnary(rig.operator, AdminService.method.explain, { id });
}

/** A proxy of its own name; its lane is open when this resolves. */
async function joined(region = "eu-west", id = `proxy-${++proxies}`) {
  const proxy = new TestProxy(rig.connect(`proxy-${region}`), region, id);
  const lane = proxy.questions();
  await vi.waitFor(async () => {
    const asked = explain("probe");
    lane.answer(await lane.inbox.next(500), {});
    await asked;
  });
  return { id, region, ...lane };
}

test("a question goes to every proxy, and each record bears the name of the proxy that gave it", async () => {
  const here = await joined("eu-west");
  const there = await joinedBeside(here, "us-east");
  const asked = explain("req_7");
  const [first, second] = await Promise.all([here.inbox.next(), there.inbox.next()]);
  expect([first.explain, second.explain]).toEqual(["req_7", "req_7"]);
  const record = { requestId: "req_7", proxy: "somebody", region: "elsewhere" };
  there.answer(second, { records: [{ ...record, id: "d2", arrivedFrom: "eu-west" }] });
  here.answer(first, { records: [{ ...record, id: "d1" }], oldestMs: 5n });
  const { records, proxies: all } = await asked;
  expect(records.map(({ id, proxy, region }) => [id, proxy, region])).toEqual([
    ["d1", here.id, "eu-west"],
    ["d2", there.id, "us-east"],
  ]);
  expect(all).toMatchObject([
    { proxy: here.id, oldestMs: 5n, failure: "" },
    { proxy: there.id, oldestMs: 0n, failure: "" },
  ]);
  here.hangUp();
  there.hangUp();
});

/** As `joined`, while another proxy is asked as well. */
async function joinedBeside(other: Awaited<ReturnType<typeof joined>>, region: string) {
  const id = `proxy-${++proxies}`;
  const proxy = new TestProxy(rig.connect(`proxy-${region}`), region, id);
  const lane = proxy.questions();
  await vi.waitFor(async () => {
    const asked = explain("probe");
    other.answer(await other.inbox.next(), {});
    lane.answer(await lane.inbox.next(500), {});
    await asked;
  });
  return { id, region, ...lane };
}

test("a proxy that does not answer in time is named, and does not hold up the answer", async () => {
  const mute = await joined();
  const startedAt = performance.now();
  const { records, proxies: all } = await explain("req_8");
  expect(performance.now() - startedAt).toBeLessThan(10_000);
  expect(records).toEqual([]);
  expect(all.find((each) => each.proxy === mute.id)?.failure).toMatch(/no answer within 2000 ms/);
  mute.hangUp();
});

test("a proxy that comes anew replaces its former stream", async () => {
  const former = await joined();
  const asked = explain("req_9");
  await former.inbox.next();
  const again = new TestProxy(rig.connect("proxy-eu-west"), "eu-west", former.id).questions();
  const failure = (await asked).proxies.find((each) => each.proxy === former.id)?.failure;
  expect(failure).toBe("it connected anew");
  expect(await former.inbox.finish()).toMatchObject({ code: status.ABORTED });
  const more = explain("req_10");
  again.answer(await again.inbox.next(), { records: [{ id: "d9", requestId: "req_10" }] });
  expect((await more).records).toMatchObject([{ id: "d9" }]);
  again.hangUp();
});

test("a proxy is sent no more questions than it may owe answers to", async () => {
  const slow = await joined();
  const asked = Array.from({ length: 10 }, () => explain("req_11"));
  const answers = await Promise.all(asked);
  const failures = answers.map(
    (each) => each.proxies.find(({ proxy }) => proxy === slow.id)?.failure,
  );
  expect(failures.filter((each) => each?.includes("owes answers"))).toHaveLength(2);
  expect(slow.inbox.waiting).toBe(8);
  slow.hangUp();
});

test("a proxy that reports and takes no questions is named", async () => {
  const old = new TestProxy(rig.connect("proxy-eu-west"), "eu-west", "old-build");
  const { acks, send } = old.reports();
  send({ sequence: 1n });
  await acks.next();
  const found = (await explain("req_12")).proxies.find((each) => each.proxy === "old-build");
  expect(found?.failure).toContain("takes no questions");
});

test.each(["", "a b", "x".repeat(129), "id\n"])("%j is refused as no id", async (id) => {
  await expect(explain(id)).rejects.toMatchObject({ code: status.INVALID_ARGUMENT });
});
