import { expect, test } from "vitest";
import { Saturation, saturationBytes } from "./saturation.ts";

function saturation(): Saturation {
  return new Saturation(new ArrayBuffer(saturationBytes(4)));
}

test("nobody is full before anybody said so", () => {
  const made = saturation();
  expect(made.any(0)).toBe(false);
  expect([0, 1, 2, 3].some((slot) => made.isFull(slot, 0) || made.isAvoided(slot, 0))).toBe(false);
});

test("who is full is so until its time, and nobody else is", () => {
  const made = saturation();
  made.fill(1, 5_000, 1_010);
  expect(made.any(1_010)).toBe(true);
  expect(made.isFull(1, 6_009)).toBe(true);
  expect(made.isFull(1, 6_010)).toBe(false);
  expect(made.fullForMs(1, 1_110)).toBe(4_900);
  expect(made.isFull(0, 1_010) || made.isFull(2, 1_010) || made.isAvoided(1, 1_010)).toBe(false);
});

test("a shorter time does not cut a longer one, and no time is longer than a minute", () => {
  const made = saturation();
  made.fill(1, 5_000, 0);
  made.fill(1, 1_000, 0);
  expect(made.fullForMs(1, 0)).toBe(5_000);
  made.fill(2, 86_400_000, 0);
  expect(made.fullForMs(2, 0)).toBe(60_000);
});

test("an answer ends avoidance, not the time that was asked for", () => {
  const made = saturation();
  made.fill(1, 5_000, 0);
  made.avoid(1, 5_000, 0);
  made.welcome(1);
  expect([made.isFull(1, 100), made.isAvoided(1, 100)]).toEqual([true, false]);
  made.forget(1);
  expect(made.isFull(1, 100)).toBe(false);
});
