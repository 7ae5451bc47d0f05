import { expect, test } from "vitest";
import { findingsWith } from "./sample-policy.ts";

test.each<[string, object, readonly string[]]>([
  [
    "a target that is no model",
    { routes: [{ name: "all", targets: [{ model: "default" }] }] },
    ["dangling_name routes[0].targets[0].model"],
  ],
  [
    "targets that all weigh nothing",
    { routes: [{ name: "all", targets: [{ model: "big", weight: 0 }] }] },
    ["zero_weight routes[0].targets"],
  ],
  [
    "a target named twice",
    { routes: [{ name: "all", targets: [{ model: "big" }, { model: "big" }] }] },
    ["duplicate routes[0].targets[1]"],
  ],
  [
    "a match of no tenant",
    { routes: [{ name: "all" }, { name: "x", match: { tenants: ["acne"] } }] },
    ["dangling_name routes[1].match.tenants[0]", "shadowed_route? routes[1]"],
  ],
  [
    "words that are not known",
    { routes: [{ name: "all", balance: "round-robbin", fallback: ["remote", "remotely"] }] },
    ["unknown_word routes[0].balance", "unknown_word routes[0].fallback[1]"],
  ],
  [
    "too many attempts",
    { routes: [{ name: "all", retry: { attempts: 11 } }] },
    ["out_of_range routes[0].retry.attempts"],
  ],
  [
    "times that contradict each other",
    {
      routes: [{ name: "all", timeouts: { connectMs: 2_000, firstTokenMs: 500, totalMs: 1_000 } }],
    },
    ["timeouts_contradict routes[0].timeouts.connectMs"],
  ],
  [
    "a slow bound behind the end of patience",
    { routes: [{ name: "all", timeouts: { firstTokenMs: 500, slowMs: 501 } }] },
    ["timeouts_contradict routes[0].timeouts.slowMs"],
  ],
  [
    "hedging of everything",
    { routes: [{ name: "all", hedge: { budgetPercent: 51, minMs: 86_400_001 } }] },
    ["out_of_range routes[0].hedge.budgetPercent", "out_of_range routes[0].hedge.minMs"],
  ],
  [
    "a total of more than a day",
    { routes: [{ name: "all", timeouts: { totalMs: 86_400_001 } }] },
    ["out_of_range routes[0].timeouts.totalMs"],
  ],
])("%s is refused", (_, change, expected) => {
  expect(findingsWith(change)).toEqual(expected);
});
