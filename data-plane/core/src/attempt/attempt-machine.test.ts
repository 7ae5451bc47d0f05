import { expect, test } from "vitest";
import { AttemptMachine } from "./attempt-machine.ts";
import { budgets, candidate, failed, kinds, machine, noWait, ports, token } from "./test-ports.ts";

test("a failure before the commit calls another candidate, and the last one refuses", () => {
  const { machine: attempts, fake } = machine(2);
  expect(kinds(attempts.step({ kind: "start" }, 0))).toEqual(["call 1"]);
  expect(kinds(attempts.step(failed(1), 1))).toEqual(["call 2"]);
  expect(kinds(attempts.step(failed(2, "status"), 2))).toEqual(["finish refused"]);
  expect(attempts.records().map((each) => each.candidate.slot)).toEqual([0, 1]);
  expect(fake.ends.map((each) => each.failure?.kind)).toEqual(["connect", "status"]);
});

test("the first token commits; from then on a failure breaks the stream", () => {
  const { machine: attempts } = machine(3);
  attempts.step({ kind: "start" }, 0);
  expect(kinds(attempts.step(token(1), 5))).toEqual(["commit 1"]);
  expect(attempts.step(token(1), 6)).toEqual([]);
  expect(kinds(attempts.step(failed(1, "reset"), 7))).toEqual(["finish broken"]);
  expect(attempts.step(failed(1, "reset"), 8)).toEqual([]);
});

test("a complete answer that was never committed is committed and finished at once", () => {
  const { machine: attempts } = machine(1);
  attempts.step({ kind: "start" }, 0);
  const commands = attempts.step({ kind: "complete", attempt: 1 }, 5);
  expect(kinds(commands)).toEqual(["commit 1", "finish complete"]);
});

test("news of a call that is over is ignored", () => {
  const { machine: attempts } = machine(3);
  attempts.step({ kind: "start" }, 0);
  attempts.step(failed(1), 1);
  expect(attempts.step(token(1), 2)).toEqual([]);
  expect(attempts.committed()).toBe(false);
});

test("no connection in time moves on", () => {
  const { machine: attempts, fake } = machine(2);
  attempts.step({ kind: "start" }, 0);
  expect(attempts.wakeAt()).toBe(100);
  expect(kinds(attempts.step({ kind: "tick" }, 100))).toEqual(["cancel 1", "call 2"]);
  expect(fake.ends[0]?.failure?.kind).toBe("connect-timeout");
});

test("the last candidate is waited for, to connect and to answer", () => {
  const { machine: attempts } = machine(1);
  attempts.step({ kind: "start" }, 0);
  expect(attempts.step({ kind: "tick" }, 100)).toEqual([]);
  expect(attempts.wakeAt()).toBe(1_000);
  attempts.step({ kind: "connected", attempt: 1 }, 150);
  expect(attempts.step({ kind: "tick" }, 1_000)).toEqual([]);
  expect(kinds(attempts.step(token(1), 5_000))).toEqual(["commit 1"]);
});

test("signs of life do not put off the first token's deadline, but the deadline between tokens", () => {
  const { machine: attempts } = machine(2);
  attempts.step({ kind: "start" }, 0);
  attempts.step({ kind: "connected", attempt: 1 }, 10);
  attempts.step({ kind: "headers", attempt: 1 }, 20);
  attempts.step({ kind: "activity", attempt: 1 }, 900);
  expect(attempts.wakeAt()).toBe(1_000);
  attempts.step(token(1), 950);
  expect(attempts.wakeAt()).toBe(1_450);
  attempts.step({ kind: "activity", attempt: 1 }, 1_400);
  expect(attempts.step({ kind: "tick" }, 1_450)).toEqual([]);
  expect(kinds(attempts.step({ kind: "tick" }, 1_900))).toEqual(["cancel 1", "finish broken"]);
});

test("a slow first token moves on while there is another candidate, and never cuts the last one", () => {
  const { machine: attempts } = machine(2);
  attempts.step({ kind: "start" }, 0);
  attempts.step({ kind: "connected", attempt: 1 }, 1);
  expect(kinds(attempts.step({ kind: "tick" }, 1_000))).toEqual(["cancel 1", "call 2"]);
  attempts.step({ kind: "connected", attempt: 2 }, 1_001);
  expect(attempts.step({ kind: "tick" }, 2_000)).toEqual([]);
  expect(attempts.wakeAt()).toBe(10_000);
  expect(kinds(attempts.step(token(2), 9_000))).toEqual(["commit 2"]);
});

test("the attempts that are allowed are a limit on calls, whatever candidates are left", () => {
  const { machine: attempts } = machine(9, { attempts: 2 });
  attempts.step({ kind: "start" }, 0);
  attempts.step(failed(1), 1);
  expect(kinds(attempts.step(failed(2), 2))).toEqual(["finish refused"]);
});

test("a region that took nothing costs no attempt", () => {
  const regions = [candidate(0), candidate(1, "peer"), candidate(2, "peer"), candidate(3, "peer")];
  const attempts = new AttemptMachine(ports(regions), { ...budgets, attempts: 2 }, noWait);
  attempts.step({ kind: "start" }, 0);
  expect(kinds(attempts.step(failed(1), 1))).toEqual(["call 2"]);
  expect(kinds(attempts.step(failed(2, "region-refused"), 2))).toEqual(["call 3"]);
  expect(kinds(attempts.step(failed(3, "connect"), 3))).toEqual(["call 4"]);
  expect(kinds(attempts.step(failed(4, "status"), 4))).toEqual(["finish refused"]);
});

test("the end of the time for the request refuses before the commit and breaks after it", () => {
  for (const [commits, ending] of [
    [false, "finish refused"],
    [true, "finish broken"],
  ] as const) {
    const { machine: attempts } = machine(3, { betweenTokensMs: 99_999 });
    attempts.step({ kind: "start" }, 0);
    attempts.step({ kind: "connected", attempt: 1 }, 0);
    if (commits) attempts.step(token(1), 1);
    expect(kinds(attempts.step({ kind: "tick" }, 10_000))).toEqual(["cancel 1", ending]);
  }
});

test("a client that leaves cancels the call and says nothing against its target", () => {
  const { machine: attempts, fake } = machine(2);
  attempts.step({ kind: "start" }, 0);
  expect(kinds(attempts.step({ kind: "client-gone" }, 1))).toEqual([
    "cancel 1",
    "finish client-gone",
  ]);
  expect(fake.ends).toMatchObject([{ outcome: "cancelled", failure: undefined }]);
});

test("the upstream's refusal of the request is final", () => {
  const { machine: attempts, fake } = machine(2);
  attempts.step({ kind: "start" }, 0);
  expect(kinds(attempts.step({ kind: "rejected", attempt: 1 }, 1))).toEqual(["finish rejected"]);
  expect(fake.ends).toMatchObject([{ outcome: "rejected" }]);
});

test("while the client does not read, no token is awaited; the total still binds", () => {
  const { machine: made } = machine(1);
  made.step({ kind: "start" }, 0);
  made.step({ kind: "connected", attempt: 1 }, 10);
  made.step(token(1), 20);
  made.step({ kind: "paused", attempt: 1 }, 30);
  // What was under way already comes in all the same.
  made.step(token(1), 40);
  expect(made.wakeAt()).toBe(budgets.totalMs);
  expect(made.step({ kind: "tick" }, 5_000)).toEqual([]);
  made.step({ kind: "resumed", attempt: 1 }, 6_000);
  expect(made.wakeAt()).toBe(6_000 + budgets.betweenTokensMs);
  made.step({ kind: "paused", attempt: 1 }, 6_100);
  expect(kinds(made.step({ kind: "tick" }, budgets.totalMs))).toEqual([
    "cancel 1",
    "finish broken",
  ]);
});

test("the first retry goes at once, later ones wait longer and longer, with jitter, and a budget pays for each", () => {
  const fake = ports(Array.from({ length: 9 }, (_, slot) => candidate(slot)));
  // The most that each wait may be: just below 1 of the jitter.
  const longest = { ...noWait, next: () => 0.999 };
  const made = new AttemptMachine(fake, { ...budgets, attempts: 9 }, longest);
  made.step({ kind: "start" }, 0);
  expect(kinds(made.step(failed(1, "status"), 0))).toEqual(["call 2"]);
  const waits: number[] = [];
  for (let attempt = 2; attempt < 9; attempt++) {
    expect(made.step(failed(attempt, "status"), 0)).toEqual([]);
    expect(fake.live).toBe(0);
    const wakeAt = made.wakeAt();
    waits.push(Math.round(wakeAt));
    expect(made.step({ kind: "tick" }, wakeAt - 1)).toEqual([]);
    expect(kinds(made.step({ kind: "tick" }, wakeAt))).toEqual([`call ${attempt + 1}`]);
  }
  expect(waits).toEqual([50, 100, 200, 400, 799, 999, 999]);
  expect(fake.spent).toEqual(new Array(8).fill("retry"));
});

test("a back-off takes half of the time that is left at most", () => {
  const fake = ports([0, 1, 2, 3].map((slot) => candidate(slot)));
  const longest = { ...noWait, next: () => 0.999 };
  const made = new AttemptMachine(fake, { ...budgets, totalMs: 60 }, longest);
  made.step({ kind: "start" }, 0);
  made.step(failed(1, "status"), 20);
  made.step(failed(2, "status"), 40);
  expect(made.wakeAt()).toBeLessThan(50);
  expect(kinds(made.step({ kind: "tick" }, 50))).toEqual(["call 3"]);
});

test("where nothing was sent the next one is called at once, for nothing", () => {
  const { machine: made, fake } = machine(9, { attempts: 9 });
  made.step({ kind: "start" }, 0);
  for (const [each, kind] of (["connect", "dns", "tls", "connect-timeout"] as const).entries()) {
    expect(kinds(made.step(failed(each + 1, kind), 0))).toEqual([`call ${each + 2}`]);
  }
  expect(fake.spent).toEqual([]);
});

test("a spent budget refuses with the last failure, but not where nothing was sent", () => {
  const { machine: made, fake } = machine(5, { attempts: 5 });
  fake.purse.retry = 1;
  made.step({ kind: "start" }, 0);
  expect(kinds(made.step(failed(1, "reset"), 1))).toEqual(["call 2"]);
  expect(kinds(made.step(failed(2, "connect"), 2))).toEqual(["call 3"]);
  expect(made.step(failed(3, "status"), 3)).toMatchObject([
    {
      kind: "finish",
      ending: { cause: { last: { kind: "status" }, reason: "the retry budget is spent" } },
    },
  ]);
});

test("who is late is not cut when the budget for another call is spent", () => {
  const { machine: made, fake } = machine(2);
  fake.purse.retry = 0;
  made.step({ kind: "start" }, 0);
  made.step({ kind: "connected", attempt: 1 }, 1);
  expect(made.step({ kind: "tick" }, 1_000)).toEqual([]);
  expect(kinds(made.step(token(1), 1_500))).toEqual(["commit 1"]);
});

test("a refusal for want of candidates tells the least wait", () => {
  const { machine: made } = machine(1);
  made.step({ kind: "start" }, 0);
  expect(made.step(failed(1, "saturated"), 1)).toMatchObject([
    { ending: { kind: "refused", cause: { reason: "nobody", retryAfterMs: 700 } } },
  ]);
});

test("no head in time moves on under its own name, and a head ends that limit", () => {
  const { machine: made, fake } = machine(3, { headersMs: 300 });
  made.step({ kind: "start" }, 0);
  made.step({ kind: "connected", attempt: 1 }, 10);
  expect(made.wakeAt()).toBe(310);
  expect(kinds(made.step({ kind: "tick" }, 310))).toEqual(["cancel 1", "call 2"]);
  expect(fake.ends[0]?.failure?.kind).toBe("headers-timeout");
  made.step({ kind: "connected", attempt: 2 }, 320);
  made.step({ kind: "headers", attempt: 2 }, 400);
  expect(made.wakeAt()).toBe(1_310);
  expect(made.records()[1]).toMatchObject({ headersAt: 400 });
});

test("slow is marked once, told, and waited for", () => {
  const { machine: made, fake } = machine(2, { slowMs: 300 });
  made.step({ kind: "start" }, 0);
  made.step({ kind: "connected", attempt: 1 }, 10);
  expect(made.wakeAt()).toBe(300);
  expect(made.step({ kind: "tick" }, 300)).toEqual([]);
  expect(made.records()[0]).toMatchObject({ slow: true, outcome: "running" });
  made.step({ kind: "tick" }, 600);
  expect(kinds(made.step(token(1), 700))).toEqual(["commit 1"]);
  expect(fake.slowOnes).toEqual([0]);
});

test("a first token that comes late is slow though no tick fell between, one in time is not", () => {
  for (const [at, slow] of [
    [301, true],
    [299, false],
  ] as const) {
    const { machine: made } = machine(1, { slowMs: 300 });
    made.step({ kind: "start" }, 0);
    made.step(token(1), at);
    expect(made.records()[0]?.slow).toBe(slow);
  }
});

test("a client that leaves during a back-off ends it", () => {
  const fake = ports([0, 1, 2].map((slot) => candidate(slot)));
  const made = new AttemptMachine(fake, budgets, { ...noWait, next: () => 0.5 });
  made.step({ kind: "start" }, 0);
  made.step(failed(1, "reset"), 1);
  expect(made.step(failed(2, "reset"), 2)).toEqual([]);
  expect(kinds(made.step({ kind: "client-gone" }, 3))).toEqual(["finish client-gone"]);
  expect(made.wakeAt()).toBe(Number.POSITIVE_INFINITY);
});

test("a request that comes without any time left is refused unasked", () => {
  const { machine: made, fake } = machine(2, { totalMs: 0 });
  expect(made.step({ kind: "start" }, 7)).toMatchObject([
    { ending: { kind: "refused", cause: { last: { kind: "total-timeout" } } } },
  ]);
  expect(fake.ends).toEqual([]);
});
