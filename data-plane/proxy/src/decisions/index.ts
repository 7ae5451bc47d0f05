// Why requests went where they went: kept for a while, and found again.

export { createDecisionPages, type DecisionPages } from "./decision-pages.ts";
export { createDecisions, type Decisions, type FoundDecisions, foundMax } from "./decisions.ts";
