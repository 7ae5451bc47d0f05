import fc from "fast-check";
import { expect, test } from "vitest";
import { BackendBuckets, bucketBytes } from "./backend-buckets.ts";

function buckets(memory: ArrayBufferLike = new ArrayBuffer(bucketBytes(4))): BackendBuckets {
  return new BackendBuckets(memory);
}

test("without a limit there is always room", () => {
  const made = buckets();
  for (let call = 0; call < 1_000; call++) made.take(0, 1_000_000, 0);
  expect(made.roomInMs(0, 1_000_000, 0)).toBe(0);
});

test("the tighter of both buckets tells when there is room", () => {
  const made = buckets();
  made.setLimits(1, { requestsPerMinute: 60, tokensPerMinute: 6_000 });
  made.take(1, 1_000, 0);
  expect(made.roomInMs(1, 100, 0)).toBe(1_000);
  made.settle(1, 1_000, 100, 0);
  expect(made.roomInMs(1, 900, 0)).toBe(0);
  for (let call = 1; call < 10; call++) made.take(1, 0, 0);
  expect(made.roomInMs(1, 0, 0)).toBe(1_000);
  expect(made.roomInMs(2, 1_000, 0)).toBe(0);
});

test("more tokens than were reserved are owed", () => {
  const made = buckets();
  made.setLimits(1, { requestsPerMinute: undefined, tokensPerMinute: 6_000 });
  made.take(1, 500, 0);
  made.settle(1, 500, 1_500, 0);
  expect(made.roomInMs(1, 1, 0)).toBeCloseTo(5_010);
});

test("a policy that changes a limit does not fill the bucket, and one that drops it opens it", () => {
  const made = buckets();
  made.setLimits(1, { requestsPerMinute: 6, tokensPerMinute: undefined });
  made.take(1, 10, 0);
  made.setLimits(1, { requestsPerMinute: 6, tokensPerMinute: 60_000 });
  expect(made.roomInMs(1, 10, 0)).toBe(10_000);
  made.setLimits(1, { requestsPerMinute: undefined, tokensPerMinute: undefined });
  expect(made.roomInMs(1, 10, 0)).toBe(0);
});

test("a slot that is another target's is full and has no limit", () => {
  const made = buckets();
  made.setLimits(1, { requestsPerMinute: 6, tokensPerMinute: undefined });
  made.take(1, 10, 0);
  made.forget(1);
  made.setLimits(1, { requestsPerMinute: 6, tokensPerMinute: undefined });
  expect(made.roomInMs(1, 10, 0)).toBe(0);
});

test("threads over one memory take from one bucket", () => {
  const memory = new SharedArrayBuffer(bucketBytes(4));
  const threads = [buckets(memory), buckets(memory)];
  for (const each of threads) {
    each.setLimits(0, { requestsPerMinute: 60, tokensPerMinute: undefined });
  }
  let sent = 0;
  for (let call = 0; call < 100; call++) {
    const thread = threads[call % 2];
    if (thread === undefined || thread.roomInMs(0, 1, 0) > 0) continue;
    thread.take(0, 1, 0);
    sent += 1;
  }
  expect(sent).toBe(10);
});

test("what is reserved and settled in any order leaves what was used", () => {
  const calls = fc.array(fc.record({ reserved: fc.nat(5_000), used: fc.nat(5_000) }), {
    maxLength: 40,
  });
  fc.assert(
    fc.property(calls, (made) => {
      const [one, two] = [buckets(), buckets()];
      for (const each of [one, two]) {
        each.setLimits(0, { requestsPerMinute: undefined, tokensPerMinute: 1_000 });
      }
      for (const each of made) one.take(0, each.reserved, 0);
      for (const each of made) one.settle(0, each.reserved, each.used, 0);
      for (const each of made) two.take(0, each.used, 0);
      expect(one.roomInMs(0, 100, 0)).toBeCloseTo(two.roomInMs(0, 100, 0), 3);
    }),
  );
});
