// Which targets may be called.

export type {
  EndedCall,
  Evidence,
  Health,
  HealthChange,
  HealthPool,
  Standing,
  Verdict,
} from "./health.ts";
export { ejection, PassiveHealth } from "./passive-health.ts";
