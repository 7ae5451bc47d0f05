// How a backend comes back, by running the real judge: a good one soon, a bad one hardly ever.

import type { Random } from "@meridian/proto/base";
import { failing, proving, Trial } from "./detection.ts";

export type Recovery = {
  /** From the moment that it was well again, in seconds: let in with a tenth of its share, and with all of it. */
  readonly letInSeconds: readonly number[];
  readonly wholeSeconds: readonly number[];
};

type Draws = { readonly random: Random; readonly runs: number };

const dead = failing(10, 1);
const waitMax = 3_600;

/** It dies, is taken out, and is well again at once: 1 % of what it is asked fails. */
export function recoveryOfGood({ random, runs }: Draws): Recovery {
  const letInSeconds: number[] = [];
  const wholeSeconds: number[] = [];
  for (let run = 0; run < runs; run++) {
    const trial = ejected(random);
    const from = trial.seconds;
    pass(trial, () => trial.health().phase === "returning");
    letInSeconds.push(trial.seconds - from);
    pass(trial, () => trial.health().phase === "in");
    wholeSeconds.push(trial.seconds - from);
  }
  return { letInSeconds, wholeSeconds };
}

/** Share of the proofs that one who fails one try in five passes, though its canaries are right. */
export function badLetIn({ random, runs }: Draws): number {
  let letIn = 0;
  const bad = proving(0.2);
  for (let run = 0; run < runs; run++) {
    const trial = ejected(random);
    while (trial.health().phase !== "proving") trial.pass(bad);
    while (trial.health().phase === "proving") trial.pass(bad);
    if (trial.health().phase === "returning") letIn += 1;
  }
  return letIn / runs;
}

function ejected(random: Random): Trial {
  const trial = new Trial(random, { hasCanary: true });
  do trial.pass(dead);
  while (trial.health().phase !== "out");
  return trial;
}

function pass(trial: Trial, isDone: () => boolean): void {
  const well = failing(10, 0.01);
  const tries = proving(0.01);
  for (let each = 0; each < waitMax && !isDone(); each++) {
    trial.pass(trial.health().phase === "returning" ? well : tries);
  }
}
