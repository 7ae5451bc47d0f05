// The base vocabulary of every package.

export { type CommandLine, flagOf, formatHelp, readCommandLine } from "./command-line.ts";
export { kmBetween, type Place } from "./place.ts";
export { formatProblem, type Problem, problem, refuses, warning } from "./problem.ts";
export { fnv1a, fullJitterMs, type Random, seededRandom } from "./random.ts";
export {
  AssertionError,
  assert,
  assertNever,
  type Err,
  err,
  type Ok,
  ok,
  type Result,
} from "./result.ts";
export {
  type Address,
  address,
  integer,
  type Lookup,
  list,
  parseAddress,
  readSettings,
  type Setting,
  type SettingsOf,
  type SettingsTable,
  showSettings,
  text,
} from "./settings.ts";
export { type Clock, formatDuration, type Instant, type WallTime } from "./time.ts";
