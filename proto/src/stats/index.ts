// Sequential statistics: tests that may be looked at after every event, with stated error rates; and rates that limit.

export {
  badEventsToAlarm,
  type CusumTest,
  cusumSteps,
  cusumThreshold,
  goodEventsToCalm,
  stepCusum,
  tickGainMax,
} from "./cusum.ts";
export { meanEventsToAlarm } from "./cusum-run-length.ts";
export {
  giveBackUnits,
  type RateLimit,
  rateLimit,
  rateWaitMs,
  takeUnits,
} from "./gcra.ts";
export { wilsonInterval } from "./interval.ts";
export {
  goodEventsToAccept,
  type SprtLimits,
  type SprtOutcome,
  type SprtTest,
  type SprtVerdict,
  sprtLimits,
  sprtOutcome,
  sprtVerdict,
  stepSprt,
} from "./sprt.ts";
