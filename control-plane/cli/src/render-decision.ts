// Decision records as people read them. Pure: messages in, text out.

import { formatDuration } from "@meridian/proto/base";
import type { ExplainResponse } from "@meridian/proto/gen/admin_pb";
import type {
  AskedProxy,
  ConsideredCandidate,
  DecisionAttempt,
  DecisionRecord,
} from "@meridian/proto/gen/decision_pb";
import { oneLine } from "./printable.ts";

/** A page for each record, the side that took the request from its client first. */
export function renderDecisions(records: readonly DecisionRecord[]): string {
  return records.map(renderDecision).join("\n");
}

function renderDecision(record: DecisionRecord): string {
  return [summary(record), ...record.attempts.flatMap(attemptLines), ...facts(record)]
    .map((line) => `${line}\n`)
    .join("");
}

/** Everything but the line breaks comes from elsewhere, and is made fit for a terminal. */
function summary(record: DecisionRecord): string {
  const { answeredBy, attempts, durationMs, id, region, status } = record;
  const by =
    answeredBy === "" ? "" : ` by ${answeredBy === region ? "its own region" : answeredBy}`;
  const count = attempts.length === 1 ? "1 attempt" : `${attempts.length} attempts`;
  return oneLine(
    `${id}: ${endingWords(record)} (${status})${by} after ${ms(durationMs)}, ${count}`,
  );
}

function endingWords({ continued, ending, errorCode }: DecisionRecord): string {
  const code = errorCode === "" ? "" : ` with ${errorCode}`;
  switch (ending) {
    case "complete":
      return continued ? "answered, continued on another candidate" : "answered";
    case "rejected":
      return "the upstream refused the request as faulty";
    case "refused":
      return `refused${code}`;
    case "broken":
      return `broke in mid-answer${code}`;
    case "client-gone":
      return "the client left";
    default:
      return ending;
  }
}

function attemptLines(attempt: DecisionAttempt): readonly string[] {
  const { considered, failure, headersMs, firstTokenMs, endedMs, reason, region, target } = attempt;
  const peer = attempt.targetKind === "peer" ? "" : ` in ${region}`;
  const slow = attempt.slow ? ", slow" : "";
  const times = [
    `called at ${ms(attempt.startedMs)}`,
    ...time("headers", headersMs),
    ...time("first token", firstTokenMs),
    ...time("ended", endedMs),
  ].join(", ");
  const lines = [
    `  ${attempt.attempt} ${attempt.role} ${target}${peer}: ${attempt.outcome}${slow}; ${times}`,
    `      because ${reason}${considered.length === 0 ? "" : `; ${candidates(considered)}`}`,
  ];
  if (failure !== undefined) {
    const status = failure.status === 0 ? "" : ` ${failure.status}`;
    lines.push(`      failure ${failure.kind}${status}: ${failure.message}`);
  }
  return lines.map((line) => `${/^ */.exec(line)?.[0] ?? ""}${oneLine(line.trim())}`);
}

function time(name: string, at: number | undefined): readonly string[] {
  return at === undefined ? [] : [`${name} at ${ms(at)}`];
}

/** A pool may be large: the best few decide what people want to know. */
const candidatesShown = 8;

function candidates(all: readonly ConsideredCandidate[]): string {
  const sorted = [...all].sort((a, b) => a.score - b.score);
  const shown = sorted.slice(0, candidatesShown).map((each) => `${each.name} ${score(each.score)}`);
  const rest = sorted.length - shown.length;
  const more = rest > 0 ? `, and ${rest} more` : "";
  return `scores (less is better) ${shown.join(", ")}${more}`;
}

function score(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  return String(Math.abs(value) >= 100 ? Math.round(value) : Number(value.toPrecision(3)));
}

function facts(record: DecisionRecord): readonly string[] {
  const from = record.arrivedFrom === "" ? "a client" : `region ${record.arrivedFrom}`;
  const asked =
    record.askedModel === "" || record.askedModel === record.model
      ? ""
      : ` (asked for as ${record.askedModel})`;
  const stream = record.stream ? ", streamed" : "";
  const rows: readonly (readonly [string, string])[] = [
    ["cause", record.cause],
    ["request", `${record.requestId}: ${record.kind}${stream}, tenant ${record.tenant}`],
    ["model", `${record.model}${asked}${record.route === "" ? "" : `, route ${record.route}`}`],
    ["arrived", `${new Date(Number(record.arrivedMs)).toISOString()} from ${from}`],
    ["proxy", `${record.proxy} in ${record.region}`],
    ["state", stateWords(record)],
    ["time", timeWords(record)],
    ["usage", usageWords(record)],
    ["copy", record.shadow === "" ? "" : `to ${record.shadow}, whose answer nobody gets`],
  ];
  return rows
    .filter(([, value]) => value !== "")
    .map(([name, value]) => `  ${name.padEnd(8)} ${oneLine(value)}`);
}

function stateWords({ revision, stateAgeMs }: DecisionRecord): string {
  const age = stateAgeMs === undefined ? "no state of the regions" : `state ${ms(stateAgeMs)} old`;
  return `policy ${revision}, ${age}`;
}

function timeWords({ durationMs, firstTokenMs, heldMs, ownMs }: DecisionRecord): string {
  const first = firstTokenMs === undefined ? "no token" : `first token ${ms(firstTokenMs)}`;
  const held = heldMs > 0 ? `, held ${ms(heldMs)} for a place` : "";
  return `${first}, all ${ms(durationMs)}${held}, Meridian's own ${ms(ownMs)}`;
}

function usageWords({ usage }: DecisionRecord): string {
  if (usage === undefined) return "";
  const how = usage.exact ? "as the upstream counted" : "estimated";
  return `${usage.inputTokens} tokens in, ${usage.outputTokens} out, ${how}`;
}

function ms(value: number): string {
  if (value >= 10_000) return formatDuration(value);
  return `${value < 10 ? Number(value.toFixed(2)) : Math.round(value)} ms`;
}

/** For stderr: who could not be asked, and, when nobody knows the request, what that may mean. */
export function renderUnanswered(id: string, answer: ExplainResponse): string {
  const silent = answer.proxies.filter((each) => each.failure !== "");
  const lines = [
    ...silent.map((each) => `not asked: ${each.proxy} in ${each.region}: ${each.failure}`),
    ...answer.unreachedControlPlanes.map(
      (each) => `not asked: the proxies of ${each}, which did not answer`,
    ),
  ];
  if (answer.records.length === 0) lines.unshift(...unknownLines(id, answer, silent.length));
  return lines.map((line) => `${oneLine(line)}\n`).join("");
}

function unknownLines(id: string, answer: ExplainResponse, silent: number): readonly string[] {
  const asked = answer.proxies.filter((each) => each.failure === "");
  const isWhole = silent === 0 && answer.unreachedControlPlanes.length === 0;
  const guess = isWhole
    ? "it is too old, mistyped, or of a request that has not ended yet"
    : "it is of a proxy that could not be asked, too old, mistyped, or has not ended yet";
  return [
    `meridian: no record of ${id} at ${asked.length === 1 ? "1 proxy" : `${asked.length} proxies`}: ${guess}`,
    ...asked.map(memory),
  ];
}

function memory({ oldestMs, proxy, region }: AskedProxy): string {
  const since =
    oldestMs === 0n
      ? "remembers nothing yet"
      : `remembers requests since ${new Date(Number(oldestMs)).toISOString()}`;
  return `${proxy} in ${region} ${since}`;
}
