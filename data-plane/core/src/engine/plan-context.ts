// What the plans of requests read and write of their engine. One for all of an engine's requests.

import type { Random } from "@meridian/proto/base";
import type { Baselines, Health, HealthChange } from "../health/index.ts";
import type { LoadTable } from "../load/index.ts";
import type { CallTimes, FirstTokenFits, SentAway } from "../locality/index.ts";
import type { CallKnowledge } from "./call-knowledge.ts";
import type { HoldQueues } from "./hold-queues.ts";
import type { HeldState } from "./region-state.ts";
import type { Table } from "./table.ts";

export type PlanContext = {
  /** The one in force now: a policy may change while a request is tried. */
  readonly table: () => Table;
  readonly state: HeldState;
  readonly load: LoadTable;
  readonly health: Health;
  readonly baselines: Baselines;
  readonly calls: CallKnowledge;
  readonly times: CallTimes;
  readonly fits: FirstTokenFits;
  readonly sentAway: SentAway;
  readonly holds: HoldQueues;
  readonly random: Random;
  readonly changed: (change: HealthChange) => void;
};
