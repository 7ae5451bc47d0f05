// Verdicts on a region's backends, from the reports of its proxies.

export { evidenceOf, outlookOf, type SignalEvidence } from "./explain-health.ts";
export {
  type BackendEvidence,
  type JudgedBackend,
  RegionHealth,
  type Reporter,
  regionHealthLimits,
  type VerdictChange,
} from "./region-health.ts";
