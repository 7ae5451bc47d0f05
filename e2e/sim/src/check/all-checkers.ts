// Every checker by its name; all of them watch every run.

import type { CheckerMaker } from "./checker.ts";
import {
  boundedQueues,
  copiesAgree,
  fewWrites,
  healthFalseAlarms,
  neverBackwards,
  retryBudget,
  shareMoved,
} from "./fleet-checkers.ts";
import {
  conservation,
  localFirst,
  noSilentTruncation,
  oneCommitPoint,
  oneHop,
  residency,
  staticStability,
} from "./request-checkers.ts";

export const allCheckers = {
  "local-first": localFirst,
  "static-stability": staticStability,
  "no-silent-truncation": noSilentTruncation,
  "one-commit-point": oneCommitPoint,
  "one-hop": oneHop,
  residency,
  "never-backwards": neverBackwards,
  "health-false-alarms": healthFalseAlarms,
  "bounded-queues": boundedQueues,
  "retry-budget": retryBudget,
  "share-moved": shareMoved,
  conservation,
  "copies-agree": copiesAgree,
  "few-writes": fewWrites,
} as const satisfies { readonly [name: string]: CheckerMaker };
