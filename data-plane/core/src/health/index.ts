// Which targets may be called.

export { Baselines, type WaitKind } from "./baselines.ts";
export { calmEdge, type EdgeHealth, edgeTrouble, stepEdge } from "./edge-health.ts";
export type {
  EndedCall,
  Evidence,
  Health,
  HealthChange,
  HealthPool,
  Standing,
} from "./health.ts";
export { judgeTickMs, OwnJudge } from "./own-judge.ts";
export { ejection, PassiveHealth } from "./passive-health.ts";
export { agedVerdict, type ToldVerdict } from "./told-verdict.ts";
