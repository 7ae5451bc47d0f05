import fc from "fast-check";
import { expect, test } from "vitest";
import { PrefixIndex, prefixIndexBytes } from "./prefix-index.ts";

/** So many sets of eight entries. */
function index(sets = 32): PrefixIndex {
  return new PrefixIndex(new ArrayBuffer(128 + sets * 128), 128);
}

function blocks(first: number, count: number): readonly number[] {
  return Array.from({ length: count }, (_, at) => ((first + at) * 2_654_435_761) >>> 0);
}

test("a backend has as many leading blocks as it was sent, and another one has none", () => {
  const made = index();
  made.learn([7, 8, 9], 3);
  expect(made.hitBlocks([7, 8, 9, 10], 3)).toBe(3);
  expect(made.hitBlocks([7, 8, 11], 3)).toBe(2);
  expect(made.hitBlocks([8, 9], 4)).toBe(0);
  expect(made.hitBlocks([7, 8, 9], 4)).toBe(0);
  expect(made.hitBlocks([7, 8, 9], 35)).toBe(0);
  expect(made.hitBlocks([], 3)).toBe(0);
});

test("what is learned counts for the same prompt at once", () => {
  const made = index();
  const prompt = [1, 2, 3];
  expect(made.hitBlocks(prompt, 70)).toBe(0);
  made.learn(prompt, 70);
  expect(made.hitBlocks(prompt, 70)).toBe(3);
  made.learn(prompt, 1);
  expect([made.hitBlocks(prompt, 1), made.hitBlocks(prompt, 70)]).toEqual([3, 3]);
});

test("a slot that is another target's has nothing, and its neighbours keep theirs", () => {
  const made = index();
  made.learn([1, 2], 5);
  made.learn([1, 2], 6);
  made.learn([1, 2], 37);
  made.forget([5, 37]);
  expect([5, 6, 37].map((slot) => made.hitBlocks([1, 2], slot))).toEqual([0, 2, 0]);
});

test("the beginning that is sent again and again stays, what is not is forgotten", () => {
  const made = index();
  const system = blocks(1, 4);
  made.learn(system, 0);
  const old = blocks(1_000, 8);
  made.learn(old, 1);
  for (let round = 0; round < 200; round++) {
    made.learn(system, 0);
    made.learn(blocks(10_000 + round * 8, 8), 1);
  }
  expect(made.hitBlocks(system, 0)).toBe(4);
  expect(made.hitBlocks(old, 1)).toBe(0);
  expect(made.hitBlocks(blocks(10_000 + 199 * 8, 8), 1)).toBe(8);
});

test("a backend that is no longer sent a beginning loses it though another one is", () => {
  const made = index();
  const system = blocks(1, 4);
  made.learn(system, 0);
  for (let round = 0; round < 200; round++) {
    made.learn(system, 1);
    made.learn(blocks(10_000 + round * 8, 8), 1);
  }
  expect([made.hitBlocks(system, 0), made.hitBlocks(system, 1)]).toEqual([0, 4]);
});

test("it remembers of four backends' newest prompts nearly all, up to a third of its size", () => {
  const made = new PrefixIndex(new ArrayBuffer(prefixIndexBytes), 128);
  const prompts = Array.from({ length: 4_000 }, (_, at) => blocks(at * 20, 20));
  for (const [at, prompt] of prompts.entries()) made.learn(prompt, at % 4);
  const whole = prompts.filter((prompt, at) => made.hitBlocks(prompt, at % 4) === 20);
  expect(whole.length).toBeGreaterThan(3_900);
});

test("threads over one memory know what each other learned", () => {
  const memory = new SharedArrayBuffer(128 + 32 * 128);
  const [one, two] = [new PrefixIndex(memory, 64), new PrefixIndex(memory, 64)];
  const prompt = [4, 5];
  expect(two.hitBlocks(prompt, 9)).toBe(0);
  one.learn(prompt, 9);
  expect(two.hitBlocks(prompt, 9)).toBe(2);
});

const prompts = fc.array(
  fc.record({
    slot: fc.integer({ min: 0, max: 40 }),
    chain: fc.array(fc.integer({ min: 0, max: 3 }), { minLength: 1, maxLength: 6 }),
  }),
  { maxLength: 30 },
);

/** Chained: a block's number tells all before it. */
function chained(choices: readonly number[]): readonly number[] {
  let hash = 17;
  return choices.map((each) => {
    hash = Math.imul(hash ^ (each + 1), 0x01000193) >>> 0;
    return hash;
  });
}

test("with room for all it knows the longest beginning exactly", () => {
  fc.assert(
    fc.property(prompts, (sent) => {
      const made = new PrefixIndex(new ArrayBuffer(128 + 2_048 * 128), 64);
      for (const { slot, chain } of sent) made.learn(chained(chain), slot);
      for (const { chain } of sent) {
        const asked = chained(chain);
        for (let slot = 0; slot <= 40; slot++) {
          const own = sent.filter((each) => each.slot === slot).map((each) => each.chain);
          const longest = Math.max(0, ...own.map((each) => sharedLength(each, chain)));
          expect(made.hitBlocks(asked, slot)).toBe(longest);
        }
      }
    }),
    { numRuns: 50 },
  );
});

function sharedLength(a: readonly number[], b: readonly number[]): number {
  const end = a.findIndex((each, at) => each !== b[at]);
  return end === -1 ? a.length : end;
}
