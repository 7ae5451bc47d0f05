// The engine's door.

export { ownTenant } from "../route/index.ts";
export {
  type CallBuffers,
  type CallKnowledge,
  createCallBuffers,
  openCallBuffers,
  ownCallKnowledge,
} from "./call-knowledge.ts";
export { createEngine, type EngineOptions } from "./create-engine.ts";
export type {
  Admission,
  Change,
  Engine,
  EngineReport,
  Outcome,
  PoolTotals,
  PreparedSnapshot,
  Refusal,
  RefusalReason,
  RequestFacts,
  RequestHeaders,
  RequestKind,
  Serving,
  SmallestQuestion,
  TargetReport,
  Usage,
} from "./engine.ts";
export { noHeaders } from "./engine.ts";
export type { PoolOutlook } from "./pool-outlooks.ts";
export { isAlone } from "./region-state.ts";
export type { Shadow, ShadowSkip } from "./shadow.ts";
export { anonymous } from "./table.ts";
