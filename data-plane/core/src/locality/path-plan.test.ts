import { seededRandom } from "@meridian/proto/base";
import { expect, test } from "vitest";
import { type DuePath, PathPlan, pathEveryMs, pathLimitMs } from "./path-plan.ts";
import { failuresToFail } from "./region-paths.ts";

function plan(id = "p1", seed = "x"): PathPlan {
  return new PathPlan(seededRandom(seed), id);
}

const alone = () => [];

/** Every request that a plan makes until then, each ended at once. */
function run(made: PathPlan, untilMs: number, proxies: readonly string[] = []) {
  const sent: (DuePath & { readonly at: number })[] = [];
  for (let at = 0; at <= untilMs; at += 50) {
    for (const due of made.due(() => proxies, at)) {
      sent.push({ ...due, at });
      made.ended(due);
    }
  }
  return sent;
}

test("each region is asked every two seconds, give or take a tenth", () => {
  const made = plan();
  made.arrange(["us", "ap"], 0);
  const sent = run(made, 60_000);
  for (const region of ["us", "ap"]) {
    const times = sent.filter((each) => each.region === region && each.kind === "state");
    expect(times[0]?.at).toBeLessThanOrEqual(pathEveryMs.state / 4 + 50);
    const gaps = times.slice(1).map((each, place) => each.at - (times[place]?.at ?? 0));
    // Looked at each 50 ms.
    for (const gap of gaps) expect(gap >= 1_800 && gap <= 2_250).toBe(true);
    expect(new Set(gaps).size).toBeGreaterThan(3);
  }
});

test("a way that is cut is known to be so within eight seconds, at the worst of chances", () => {
  const worstGapMs = pathEveryMs.state * 1.1 + 50;
  expect(failuresToFail * worstGapMs + pathLimitMs.state).toBeLessThan(8_000);
});

test("what is under way is not sent again before it has ended", () => {
  const made = plan();
  made.arrange(["us"], 0);
  const [first] = made.due(alone, 1_000);
  expect(first).toEqual({ region: "us", kind: "state" });
  expect(made.due(alone, 9_000)).toEqual([]);
  made.ended({ region: "us", kind: "state" });
  expect(made.due(alone, 9_000)).toHaveLength(1);
});

test("one proxy of a region sends the real request, all agree on which, and another one after it is gone", () => {
  const proxies = ["p1", "p2", "p3"];
  const sentBy = (known: readonly string[]) =>
    known.filter((id) => {
      const made = plan(id, id);
      made.arrange(["us"], 0);
      return run(made, 61_000, known).some((each) => each.kind === "inference");
    });
  const [one, ...others] = sentBy(proxies);
  expect(others).toEqual([]);
  const left = proxies.filter((each) => each !== one);
  const next = sentBy(left);
  expect(next).toHaveLength(1);
  expect(next).not.toContain(one);
});

test("a proxy that knows no others sends it itself; one that is not among the known leaves it to them", () => {
  const one = plan();
  one.arrange(["us"], 0);
  const sent = run(one, 300_000).filter((each) => each.kind === "inference");
  expect(sent.length >= 8 && sent.length <= 12).toBe(true);
  const stranger = plan("new");
  stranger.arrange(["us"], 0);
  expect(run(stranger, 300_000, ["p1"]).every((each) => each.kind === "state")).toBe(true);
});

test("regions that leave the policy are left alone, and one that returns is a new one", () => {
  const made = plan();
  made.arrange(["us", "ap"], 0);
  const [due] = made.due(alone, 600).filter((each) => each.region === "us");
  made.arrange(["ap"], 700);
  expect(run(made, 10_000).every((each) => each.region === "ap")).toBe(true);
  made.ended(due ?? { region: "us", kind: "state" });
  made.arrange(["us"], 10_000);
  expect(made.due(alone, 10_600)).toEqual([{ region: "us", kind: "state" }]);
});
