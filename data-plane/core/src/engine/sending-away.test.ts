import { fixtureFrame } from "@meridian/proto/fixture";
import { expect, test } from "vitest";
import { upstreamFailure } from "../attempt/index.ts";
import type { RequestFacts } from "./index.ts";
import { plainFacts } from "./test-facts.ts";
import {
  backend,
  busy,
  complete,
  measure,
  policy,
  prompt,
  tell,
  told,
  world,
} from "./test-world.ts";

test("a request leaves its region only when the objective is at stake", () => {
  const patient = world(policy({ objective: { firstTokenMs: 2_000 } }));
  busy(patient);
  // A place each half second: the first who wait make it.
  expect(patient.ask(10_001).first).toBe("hold");
  expect(patient.ask(10_001).first).toBe("hold");
  const firsts = Array.from({ length: 6 }, () => patient.ask(10_002).first);
  expect(firsts.at(-1)).toMatch(/^first us\//);
  const hasty = world(policy(prompt));
  busy(hasty);
  const { attempts, first } = hasty.ask(10_001);
  expect(first).toBe("first us/10.0.1.1:1");
  const { reason, considered } = attempts.records()[0] ?? {};
  expect(reason).toMatch(/^region us gains \d+ ms$/);
  expect(considered?.names).toEqual(["eu", "ap", "us"]);
  const [here = 0, ap = 0, us = 0] = considered?.scores ?? [];
  expect(us).toBeLessThan(ap);
  expect(here - us).toBeGreaterThan(50);
});

test("a region that gains too little is not gone to; of a session more is asked", () => {
  const made = world(policy({ ...prompt, affinity: { header: "x-chat" } }));
  busy(made);
  const queue = (ms: number) => {
    for (const region of ["us", "ap"]) {
      made.calls.paths.noteRtt(region, 1, 10_000);
      made.calls.paths.notePool(region, "big", { queueMs: ms, headroom: undefined }, 10_000);
    }
  };
  const ask = (more: Partial<RequestFacts> = {}) => {
    const asked = made.ask(10_001, more);
    asked.attempts.step({ kind: "client-gone" }, 10_001);
    return asked.first;
  };
  queue(5_000);
  expect(ask()).toBe("hold");
  queue(0);
  expect(ask({ headers: { "x-chat": "7" } })).toMatch(/^first (us|ap)/);
  // Here it takes about 600 ms, and there 150 and the queue.
  const firsts = Array.from({ length: 60 }, (_, each) => {
    queue(each * 10);
    return [ask(), ask({ headers: { "x-chat": "7" } })].map((first) => first.slice(0, 4)).join(" ");
  });
  expect(new Set(firsts)).toEqual(new Set(["firs firs", "firs hold", "hold hold"]));
});

test("the region table bounds what leaves: a share of 0 lets nobody go, 20 % lets a quarter go", () => {
  const made = world(policy(prompt));
  busy(made);
  tell(made, 0, 10_000);
  expect(made.ask(10_001).first).toBe("hold");
  tell(made, 200, 10_000);
  let away = 0;
  const requests = 2_000;
  for (let each = 0; each < requests; each++) {
    const now = 10_002 + each * 10;
    if (each % 100 === 0) tell(made, 200, now);
    const asked = made.ask(now);
    if (asked.first.startsWith("first us")) away += 1;
    expect(asked.first).not.toMatch(/ap/);
    asked.attempts.step({ kind: "client-gone" }, now);
  }
  expect(away / requests).toBeGreaterThan(0.2);
  expect(away / requests).toBeLessThan(0.26);
});

test("what the table grants to a region whose way fails may go to the others", () => {
  const made = world(policy(prompt));
  busy(made);
  measure(made, 10_000);
  tell(made, 200, 10_000);
  for (let each = 0; each < 3; each++) made.calls.paths.noteFailure("us", 10_000);
  expect(made.ask(10_001).first).toMatch(/^first ap/);
  tell(made, 0, 10_002);
  expect(made.ask(10_003).first).toBe("hold");
});

test("beyond the table's share a request goes where the region itself has just said that it has room", () => {
  const made = world(policy(prompt));
  busy(made);
  tell(made, 0, 10_000);
  made.calls.paths.notePool("us", "big", { queueMs: 0, headroom: 900 }, 9_000);
  expect(made.ask(10_001).first).toMatch(/^first us/);
  made.calls.paths.notePool("us", "big", { queueMs: 0, headroom: 0 }, 10_000);
  expect(made.ask(10_002).first).toBe("hold");
  // An old word is none.
  made.calls.paths.notePool("us", "big", { queueMs: 0, headroom: 900 }, 3_000);
  expect(made.ask(10_003).first).toBe("hold");
});

/** Two backends that would take many at once and need 1 ms for each token; the ways are known. */
function prefilling(route: { readonly objective: { readonly firstTokenMs: number } }) {
  const backends = [backend("a", "eu", 64), backend("b", "eu", 64), backend("us-a", "us", 64)];
  const made = world(policy(route, { backends }));
  for (let each = 0; each < 40; each++) {
    const inputTokens = 50 + (each % 4) * 100;
    const asked = made.ask(each * 1_000, { inputTokens });
    asked.attempts.step(
      { kind: "token", attempt: 1, continuable: false },
      each * 1_000 + 20 + inputTokens,
    );
    complete(asked, each * 1_000 + 900);
  }
  measure(made, 50_000);
  return made;
}

test("prompts that stand before a first token send the next one away before a server is full", () => {
  const made = prefilling({ objective: { firstTokenMs: 1_000 } });
  const firsts = Array.from({ length: 12 }, () => made.ask(50_001, { inputTokens: 300 }).first);
  // Three prompts of 300 tokens at each of two servers are what the objective bears.
  expect(firsts.slice(0, 4).join()).toMatch(/^(first [ab],?){4}$/);
  expect(firsts.findIndex((each) => each.startsWith("first us"))).toBeLessThanOrEqual(8);
  const patient = prefilling({ objective: { firstTokenMs: 60_000 } });
  const stay = Array.from({ length: 12 }, () => patient.ask(50_001, { inputTokens: 300 }).first);
  expect(stay.join()).toMatch(/^(first [ab],?){12}$/);
});

test("servers that were erratic for a while are tried again, and stayed with once they are not", () => {
  const backends = [backend("a", "eu", 64), backend("b", "eu", 64), backend("us-a", "us", 64)];
  const made = world(policy({ objective: { firstTokenMs: 1_000 } }, { backends }));
  const isAway = (second: number, firstTokenMs: number) => {
    const now = second * 1_000 + 1;
    measure(made, now);
    const asked = made.ask(now, { inputTokens: 300 });
    const isAbroad = asked.first.startsWith("first us");
    const ms = isAbroad ? 400 : firstTokenMs;
    asked.attempts.step({ kind: "token", attempt: 1, continuable: false }, now + ms);
    complete(asked, now + ms + 100);
    return isAbroad;
  };
  const seconds = Array.from({ length: 200 }, (_, second) => second);
  const erratic = seconds.map((at) => isAway(at, at % 8 < 2 ? 4_000 : 300));
  expect(erratic.slice(100).filter(Boolean).length).toBeGreaterThan(50);
  // The last wait of those four seconds is over by then.
  const calm = seconds.map((at) => isAway(205 + at, 300));
  expect(calm.slice(150).filter(Boolean)).toEqual([]);
});

test("a prompt that has got its first token stands before nobody", () => {
  const made = prefilling({ objective: { firstTokenMs: 1_000 } });
  for (let each = 0; each < 20; each++) {
    const asked = made.ask(50_001 + each, { inputTokens: 300 });
    expect(asked.first).toMatch(/^first [ab]$/);
    asked.attempts.step({ kind: "token", attempt: 1, continuable: false }, 50_001 + each);
  }
});

test("what stands before a first token is told to other regions, and refuses who would wait too long", () => {
  const made = prefilling({ objective: { firstTokenMs: 60_000 } });
  expect(made.engine.outlooks(50_001)[0]?.queueMs).toBe(0);
  for (let each = 0; each < 8; each++) made.ask(50_001, { inputTokens: 300 });
  // Four prompts of 300 tokens at each, at 1 ms a token.
  const told = made.engine.outlooks(50_001)[0]?.queueMs ?? 0;
  expect(told).toBeGreaterThan(1_000);
  expect(told).toBeLessThan(1_400);
  const arrival = (queueMaxMs: number) =>
    made.engine.admit({ ...plainFacts, arrivedFrom: "us", queueMaxMs }, 50_001).kind;
  expect([arrival(500), arrival(2_000)]).toEqual(["refused", "admitted"]);
});

test("with a table that is too old the other region's last word on its room binds", () => {
  const made = world(policy(prompt));
  busy(made);
  tell(made, 0, 10_000);
  expect(made.ask(14_900).first).toBe("hold");
  expect(made.ask(15_001).first).toMatch(/^first us/);
  made.calls.paths.notePool("us", "big", { queueMs: 0, headroom: 0 }, 15_000);
  made.calls.paths.notePool("ap", "big", { queueMs: 0, headroom: 90 }, 15_000);
  expect(made.ask(15_002).first).toMatch(/^first ap/);
  made.calls.paths.notePool("ap", "big", { queueMs: 0, headroom: 0 }, 15_000);
  expect(made.ask(15_003).first).toBe("hold");
});

test("when the control plane has been silent for long, what regions say themselves is gone by", () => {
  const made = world(policy(prompt));
  busy(made);
  tell(made, 0, 10_000);
  measure(made, 90_000);
  expect(made.ask(90_001).first).toMatch(/^first us/);
  const frame = fixtureFrame({
    regions: ["us", "ap"].map((name) => ({
      name,
      pools: [{ model: "big", backends: 2, available: 0 }],
    })),
  });
  made.engine.apply({ kind: "state", frame }, 90_002);
  expect(made.ask(90_003).first).toBe("hold");
});

test("of two regions that are equally full neither sends its requests to the other", () => {
  const [made, other] = [world(policy(prompt)), world(policy(prompt))];
  for (const each of [made, other]) busy(each);
  const queueMs = other.engine.outlooks(10_001)[0]?.queueMs ?? 0;
  expect(queueMs).toBeGreaterThan(500);
  for (let each = 0; each < 20; each++) made.calls.paths.noteRtt("us", 1, 10_001);
  for (const region of ["us", "ap"]) {
    made.calls.paths.notePool(region, "big", { queueMs, headroom: undefined }, 10_001);
  }
  expect(made.ask(10_002).first).toBe("hold");
});

test("a way that fails is not gone, neither for a gain nor when the region is left", () => {
  const made = world(policy(prompt));
  busy(made);
  measure(made, 10_000);
  for (let each = 0; each < 3; each++) made.calls.paths.noteFailure("us", 10_000);
  expect(made.ask(10_001).first).toMatch(/^first ap/);
  const frame = fixtureFrame({ regions: [{ name: "eu", draining: true, drainLeftMs: 60_000 }] });
  made.engine.apply({ kind: "state", frame }, 10_002);
  expect(made.ask(10_003).first).toMatch(/^first ap/);
});

test("regions are told what queue they pay with: by the gain, or by the next best; the last one any", () => {
  const made = world(policy(prompt));
  busy(made);
  measure(made, 10_000);
  const limits = (now: number) => {
    const attempts = made.engine.begin(plainFacts, now);
    const [command] = attempts.step({ kind: "start" }, now);
    const choices = [command?.kind === "call" ? command.choice.queueMaxMs : undefined];
    const failure = upstreamFailure("region-refused", "full", { retryAfterMs: 60_000 });
    const [next] = attempts.step({ kind: "failed", attempt: 1, failure }, now + 1);
    if (next?.kind === "call") choices.push(next.choice.queueMaxMs);
    attempts.step({ kind: "client-gone" }, now + 2);
    return choices;
  };
  const [gain = 0] = limits(10_001);
  expect(gain).toBeGreaterThan(100);
  expect(gain).toBeLessThan(1_000);
  const frame = fixtureFrame({ regions: [{ name: "eu", draining: true, drainLeftMs: 60_000 }] });
  made.engine.apply({ kind: "state", frame }, 20_000);
  const [first = 0, second] = limits(20_001);
  expect(first).toBeGreaterThan(10);
  expect(second).toBeUndefined();
});

test("a region that refuses on arrival costs nothing, is known to be full, and the request goes on", () => {
  const made = world(policy({ ...prompt, retry: { attempts: 2, budgetPercent: 0 } }));
  busy(made);
  measure(made, 10_000);
  const { attempts, first } = made.ask(10_001);
  expect(first).toMatch(/^first us/);
  const before = made.calls.budgets.left("retry", 10_001);
  const failure = upstreamFailure("region-refused", "full", { status: 503, retryAfterMs: 4_000 });
  const again = told(attempts.step({ kind: "failed", attempt: 1, failure }, 10_081));
  expect(again).toMatch(/^retry ap/);
  expect(made.calls.budgets.left("retry", 10_081)).toBe(before);
  expect(made.calls.paths.queueMs("us", "big")).toBe(4_000);
  expect(told(attempts.step({ kind: "failed", attempt: 2, failure }, 10_161))).toBe("hold");
  expect(made.ask(10_170).first).toBe("hold");
  expect(made.engine.report(10_170).peers.every((each) => each.failed === 0)).toBe(true);
});

test("a request from abroad is refused on arrival when its queue would be longer than it gains by", () => {
  const made = world(policy(prompt));
  const admit = (more: Partial<RequestFacts>, now: number) =>
    made.engine.admit({ ...plainFacts, arrivedFrom: "us", ...more }, now);
  expect(admit({ queueMaxMs: 0 }, 0).kind).toBe("admitted");
  const [one] = busy(made);
  const refused = admit({ queueMaxMs: 100 }, 10_001);
  expect(refused).toMatchObject({
    kind: "refused",
    // One call ends each half second, give or take half of that, as nobody has waited yet.
    refusal: { reason: "region-full", queueMs: 750, problem: { code: "region_full" } },
  });
  expect(admit({ queueMaxMs: 1_000 }, 10_001).kind).toBe("admitted");
  expect(admit({}, 10_001).kind).toBe("admitted");
  // Taken, it is neither held nor sent on.
  expect(made.ask(10_002, { arrivedFrom: "us", queueMaxMs: 1_000 }).first).toMatch(/^first [ab]$/);
  // Those who wait here come first.
  tell(made, 0, 10_002);
  expect(made.ask(10_003).first).toBe("hold");
  expect(admit({ queueMaxMs: 60_000 }, 10_003).kind).toBe("refused");
  if (one !== undefined) complete(one, 10_004);
  expect(admit({ queueMaxMs: 60_000 }, 10_004).kind).toBe("refused");
});

test("what a server told before it got its work does not hide that it works", () => {
  const made = world(policy(prompt));
  const placed = busy(made);
  const before = made.engine.outlooks(10_001)[0];
  expect(before?.queueMs).toBeGreaterThan(0);
  for (const { attempts } of placed) {
    const slot = attempts.records()[0]?.candidate.slot ?? -1;
    made.calls.engines.note(slot, { waiting: 0, running: 0, kvUse: 0 }, 10_001);
  }
  expect(made.engine.outlooks(10_002)[0]).toEqual(before);
});

test("what first tokens were off by is learned, of backends and of regions", () => {
  const made = world(policy(prompt));
  busy(made);
  measure(made, 10_000);
  const scores = () => {
    const { attempts } = made.ask(10_001);
    const { considered } = attempts.records()[0] ?? {};
    attempts.step({ kind: "token", attempt: 1, continuable: false }, 10_001 + 140);
    attempts.step({ kind: "client-gone" }, 10_200);
    return considered?.scores[considered.names.indexOf("us")] ?? 0;
  };
  const first = scores();
  for (let each = 0; each < 20; each++) scores();
  // It always took as long: there is less doubt.
  expect(scores()).toBeLessThan(first);
});
