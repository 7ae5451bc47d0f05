// What requests add to the counts that the region table is made from: which model was asked for, by whom, and who worked.

import type { AttemptRecord } from "../attempt/index.ts";
import type { Demand, LoadShare } from "../load/index.ts";
import type { Outcome, PoolTotals, RequestFacts } from "./engine.ts";
import { workOf } from "./request-work.ts";
import { type Table, targetId } from "./table.ts";

/** Requests from abroad were counted where they began. */
export function noteArrival(
  demand: Demand,
  table: Table,
  { facts, model }: { readonly facts: RequestFacts; readonly model: string | undefined },
): void {
  const slot = table.poolSlots.get(model ?? "");
  if (slot !== undefined && facts.arrivedFrom === undefined) {
    demand.arrived(slot, workOf(facts).tokens);
  }
}

/** Where no backend of this region was asked, the model that the request's route names first counts. */
export function noteEnd(demand: Demand, table: Table, outcome: Outcome): void {
  const { facts, attempts, usage } = outcome;
  const used = usage.inputTokens + usage.outputTokens;
  const worker = workerOf(outcome);
  const backend = worker === undefined ? undefined : table.targets.get(targetId(worker));
  if (backend?.kind === "backend" && used > 0) demand.worked(backend.slot, used);
  if (facts.arrivedFrom !== undefined) return;
  const asked =
    attempts.find((each) => each.candidate.kind === "backend")?.candidate.model ??
    table.router.resolve(facts)?.targets[0]?.model;
  const pool = table.poolSlots.get(asked ?? "");
  if (pool === undefined) return;
  const away = attempts.some((each) => each.candidate.kind === "peer");
  demand.ended(pool, { expected: workOf(facts).tokens, used, away });
}

/** Of every model that the policy names, in the order of their names. */
export function poolTotals(
  { table: load, demand }: LoadShare,
  table: Table,
): readonly PoolTotals[] {
  return [...table.poolSlots].map(([model, slot]) => ({
    model,
    ...demand.read(slot),
    held: Math.max(0, load.inFlight(slot)),
    heldTokens: Math.max(0, load.pendingTokens(slot)),
  }));
}

/** Whose answer the client got; of one that was cut short, who had begun it. */
function workerOf({ ending, attempts }: Outcome): AttemptRecord["candidate"] | undefined {
  if ("attempt" in ending) {
    return attempts.find((each) => each.attempt === ending.attempt)?.candidate;
  }
  return attempts.findLast((each) => each.firstTokenAt !== undefined)?.candidate;
}
