import { samplePolicy } from "@meridian/proto/policy-sample";
import fc from "fast-check";
import { expect, test } from "vitest";
import { type DrainRequest, type DrainView, decideDrain, drainLimits } from "./decide-drain.ts";
import {
  type DrainOrder,
  type DrainTarget,
  drainLeftMs,
  drainsAt,
  drainValue,
  nextDrainEndMs,
  parseDrain,
} from "./drain-order.ts";

const now = 1_700_000_000_000;
const region = (name: string): DrainTarget => ({ kind: "region", name });
const backend = (name: string): DrainTarget => ({ kind: "backend", name });
const order = (target: DrainTarget, untilMs = now + 60_000): DrainOrder => ({
  target,
  untilMs,
  reason: "",
  author: "jo",
});
const ask = (target: DrainTarget, more: Partial<DrainRequest> = {}): DrainRequest => ({
  target,
  forSeconds: 600,
  reason: "",
  author: "jo",
  force: false,
  ...more,
});

/** Both regions serve both models and are ready, and no tenant is bound to one of them. */
function view(drained: readonly DrainOrder[] = [], ready = ["us-east", "eu-west"]): DrainView {
  const policy = samplePolicy();
  for (const tenant of policy.tenants) tenant.residency = [];
  return { policy, drains: drainsAt(drained, now), readyRegions: new Set(ready) };
}

function codes(request: DrainRequest, of: DrainView = view()): readonly string[] {
  const decided = decideDrain(request, of, now);
  return decided.kind === "ok" ? [] : decided.error.map((each) => `${each.code} ${each.path}`);
}

test("a drain that leaves another region ready is ordered until its end", () => {
  const request = ask(region("us-east"), { reason: "power" });
  expect(decideDrain(request, view(), now)).toEqual({
    kind: "ok",
    value: { target: region("us-east"), untilMs: now + 600_000, reason: "power", author: "jo" },
  });
});

test.each<[string, DrainRequest, DrainView, readonly string[]]>([
  ["no time", ask(region("us-east"), { forSeconds: 0 }), view(), ["out_of_range forSeconds"]],
  [
    "more than a day",
    ask(region("us-east"), { forSeconds: 86_401 }),
    view(),
    ["out_of_range forSeconds"],
  ],
  [
    "part of a second",
    ask(region("us-east"), { forSeconds: 1.5 }),
    view(),
    ["out_of_range forSeconds"],
  ],
  ["no such region", ask(region("mars")), view(), ["dangling_name region"]],
  ["no such backend", ask(backend("us-east")), view(), ["dangling_name backend"]],
  [
    "a long reason",
    ask(region("us-east"), { reason: "x".repeat(drainLimits.reasonLengthMax + 1) }),
    view(),
    ["too_large reason"],
  ],
  [
    "force without a reason",
    ask(region("us-east"), { force: true, reason: " " }),
    view(),
    ["missing reason"],
  ],
  ["the last ready region", ask(region("us-east")), view([], ["us-east"]), ["last_region region"]],
  [
    "the only region that no drain holds",
    ask(region("us-east")),
    view([order(region("eu-west"))]),
    ["last_region region", "last_backend region"],
  ],
  [
    "a backend while the others of its model drain",
    ask(backend("us-a")),
    view([order(backend("eu-a"))]),
    ["last_backend backend"],
  ],
  [
    "a backend while the other region drains",
    ask(backend("us-a")),
    view([order(region("eu-west"))]),
    ["last_backend backend"],
  ],
  [
    "several things at once",
    ask(region("mars"), { forSeconds: -1, force: true }),
    view(),
    ["out_of_range forSeconds", "missing reason", "dangling_name region"],
  ],
])("%s is refused", (_, request, of, expected) => {
  expect(codes(request, of)).toEqual(expected);
});

test("a region that alone may answer a tenant is not drained unforced", () => {
  const bound = { ...view(), policy: samplePolicy() };
  expect(codes(ask(region("eu-west")), bound)).toEqual(["residency_unserved region"]);
  expect(codes(ask(region("us-east")), bound)).toEqual([]);
});

test("force with a reason overrides the guard, and nothing else", () => {
  const forced = { force: true, reason: "fire" };
  expect(codes(ask(region("us-east"), forced), view([], []))).toEqual([]);
  expect(codes(ask(region("mars"), forced))).toEqual(["dangling_name region"]);
});

test("a second order for what drains already is no worse than the first", () => {
  expect(codes(ask(region("us-east")), view([order(region("us-east"))]))).toEqual([]);
  expect(codes(ask(backend("us-a")), view([order(backend("us-a"))]))).toEqual([]);
});

test("an order is obeyed before its end and not from its end on", () => {
  const orders = [order(region("us-east"), now + 1), order(backend("eu-a"), now)];
  expect([...drainsAt(orders, now).regions.keys()]).toEqual(["us-east"]);
  expect([...drainsAt(orders, now).backends.keys()]).toEqual([]);
  expect([...drainsAt(orders, now + 1).regions.keys()]).toEqual([]);
});

test("of two orders for one thing the one that ends last holds", () => {
  const orders = [
    order(region("eu"), now + 5),
    order(region("eu"), now + 9),
    order(region("eu"), now + 7),
  ];
  expect(drainsAt(orders, now).regions.get("eu")?.untilMs).toBe(now + 9);
});

test("what is left of an order is whole milliseconds that fit a frame", () => {
  expect(drainLeftMs(order(region("eu"), now + 1.2), now)).toBe(2);
  expect(drainLeftMs(order(region("eu"), now - 5), now)).toBe(0);
  expect(drainLeftMs(order(region("eu"), Number.MAX_VALUE), now)).toBe(0xffff_ffff);
});

test("between now and the next end nothing changes by itself", () => {
  const times = fc.array(fc.integer({ min: -10, max: 10 }), { maxLength: 6 });
  fc.assert(
    fc.property(times, fc.nat(10), (ends, at) => {
      const orders = ends.map((end, place) => order(backend(`b${place}`), now + end));
      const next = nextDrainEndMs(orders, now) ?? Number.POSITIVE_INFINITY;
      const isBefore = now + at < next;
      const names = (time: number) => [...drainsAt(orders, time).backends.keys()];
      if (isBefore) expect(names(now + at)).toEqual(names(now));
      else expect(names(next)).not.toEqual(names(now));
    }),
  );
});

test("an order is read back as it was written", () => {
  const written = order(backend("us-a"));
  const value: unknown = JSON.parse(JSON.stringify(drainValue(written)));
  expect(parseDrain(backend("us-a"), value)).toEqual({ kind: "ok", value: written });
});

test("a value that is no order drains nothing", () => {
  fc.assert(fc.property(fc.jsonValue(), (value) => parseDrain(region("eu"), value).kind === "err"));
  expect(parseDrain(region("eu"), { untilMs: "soon" }).kind).toBe("err");
});
