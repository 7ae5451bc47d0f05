// One run of one scenario: from a seed to figures, violations and the hash of everything that happened.

import { type Figure, holds } from "@meridian/bench/report";
import { allCheckers } from "../check/all-checkers.ts";
import type { Violation } from "../check/checker.ts";
import { type Sabotage, Scene, warmUpMs } from "../scene/scene.ts";
import { findScenario } from "./all-scenarios.ts";
import { optionsOf, restMs } from "./scenario.ts";

export type RunResult = {
  readonly scenario: string;
  readonly seed: string;
  /** Equal hashes: everything happened in the same way. */
  readonly hash: string;
  readonly figures: readonly Figure[];
  readonly violations: readonly Violation[];
  readonly requests: number;
  readonly events: number;
  readonly passed: boolean;
};

/** undefined: there is no such scenario. */
export function runScenario(
  name: string,
  seed: string,
  sabotage: Sabotage = {},
): RunResult | undefined {
  const scenario = findScenario(name);
  if (scenario === undefined) return undefined;
  const options = optionsOf(scenario, `${name}/${seed}`);
  const scene = new Scene(options, allCheckers, sabotage);
  scenario.script(scene);
  scene.world.timeline.runUntil(warmUpMs + scenario.seconds * 1_000 + restMs);
  scene.checks.atEnd();
  const figures = scenario.figures(scene);
  const { violations } = scene.checks;
  return {
    scenario: name,
    seed,
    hash: scene.world.trace.hash(),
    figures,
    violations,
    requests: scene.world.records.all.length,
    events: scene.world.timeline.ran,
    passed: violations.length === 0 && figures.every(holds),
  };
}

/** What makes the same run again. */
export function replayCommand(result: Pick<RunResult, "scenario" | "seed">): string {
  return `npm run sim -- --seed ${result.seed} --scenario ${result.scenario}`;
}
