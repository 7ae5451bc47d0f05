// Verdicts on a region's backends, from the reports of its proxies.

export { evidenceOf, outlookOf, type SignalEvidence } from "./explain-health.ts";
export {
  type BackendEvidence,
  type JudgedBackend,
  type Recall,
  RegionHealth,
  type Reporter,
  regionHealthLimits,
  type VerdictChange,
} from "./region-health.ts";
export { isSignal, noteOf, reasonLengthMax, type VerdictNote } from "./verdict-note.ts";
