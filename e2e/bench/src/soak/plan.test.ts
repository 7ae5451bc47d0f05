import { seededRandom } from "@meridian/proto/base";
import { expect, test } from "vitest";
import { sumOf } from "./books.ts";
import { drawPlan, shares } from "./plan.ts";
import { promptOf, scriptIn, textOf, tokensIn } from "./script.ts";

const random = seededRandom("plans");
const plans = Array.from({ length: 5_000 }, (_, index) => drawPlan(String(index), random));

test("clients leave and upstreams fail in the shares that are named", () => {
  const share = (count: number) => count / plans.length;
  const leaving = plans.filter((each) => each.expected === "left");
  const failing = plans.filter((each) => each.script.calls[0]?.fault !== undefined);
  expect(share(leaving.length)).toBeCloseTo(shares.leave, 1);
  expect(share(failing.length)).toBeGreaterThan(shares.upstreamFault * 0.8);
  expect(share(failing.length)).toBeLessThan(shares.upstreamFault * 1.2);
  expect(leaving.filter((each) => failing.includes(each))).toEqual([]);
});

test("every way to leave and to fail is drawn, before and after the first token", () => {
  const ways = new Set(plans.map((each) => each.behaviour.kind));
  expect(ways.size).toBe(7);
  const faults = plans.map((each) => each.script.calls[0]?.fault).filter((each) => each);
  expect(new Set(faults.map((each) => each?.kind)).size).toBe(6);
  expect(faults.some((each) => each?.atToken === 0)).toBe(true);
  expect(faults.some((each) => (each?.atToken ?? 0) > 0)).toBe(true);
});

test("a stream breaks only where a fault comes after its first token and nobody may go on", () => {
  for (const { expected, model, script, stream } of plans) {
    const fault = script.calls[0]?.fault;
    const breaks = stream && fault !== undefined && fault.atToken > 0 && model === "soak-plain";
    expect(expected === "broken").toBe(breaks);
  }
});

test("the same seed draws the same plans", () => {
  const again = (seed: string) => drawPlan("a", seededRandom(seed));
  expect(again("x")).toEqual(again("x"));
  expect(again("x")).not.toEqual(again("y"));
});

test("a script travels in a prompt, and texts are counted in whole tokens", () => {
  const { script } = drawPlan("b", seededRandom("x"));
  expect(scriptIn(promptOf(script, 100))).toEqual(script);
  expect(() => scriptIn("hello")).toThrow(/no script/);
  expect(tokensIn(script, textOf(script, 5))).toBe(5);
  expect(tokensIn(script, "")).toBe(0);
  expect(tokensIn(script, textOf(script, 5).slice(0, -1))).toBeUndefined();
  expect(tokensIn(script, "other")).toBeUndefined();
});

test("series of a metric are summed by labels, and a longer name is another metric", () => {
  const text = 'a_total{x="1",y="2"} 3\na_total{x="1",y="3"} 4\na_total_more{x="1"} 9\nplain 5\n';
  expect(sumOf(text, "a_total", { x: "1" })).toBe(7);
  expect(sumOf(text, "a_total", { y: "3" })).toBe(4);
  expect(sumOf(text, "plain")).toBe(5);
  expect(sumOf(text, "none")).toBe(0);
});
