// What a model server's own metrics say of its load, out of Prometheus's text format. Only the few names that tell a
// queue are read; everything else is passed over unread. Pure; whatever the text is, nothing throws.

import type { EngineLoad } from "../balance/index.ts";

type Figure = keyof EngineLoad;

/**
 * Names by engine. vLLM: docs/design/metrics.md (`gpu_cache_usage_perc` until 0.10). SGLang: production metrics, with
 * --enable-metrics. llama.cpp: tools/server/README.md, with --metrics (`kv_cache_usage_ratio` in older builds only).
 */
const figures: ReadonlyMap<string, Figure> = new Map([
  ["vllm:num_requests_waiting", "waiting"],
  ["vllm:num_requests_running", "running"],
  ["vllm:kv_cache_usage_perc", "kvUse"],
  ["vllm:gpu_cache_usage_perc", "kvUse"],
  ["sglang:num_queue_reqs", "waiting"],
  ["sglang:num_running_reqs", "running"],
  ["sglang:token_usage", "kvUse"],
  ["llamacpp:requests_deferred", "waiting"],
  ["llamacpp:requests_processing", "running"],
  ["llamacpp:kv_cache_usage_ratio", "kvUse"],
]);

/** A line longer than this is nobody's gauge. */
const lineMax = 4_096;

/**
 * Requests are summed over models, engines and ranks; of several memories the fullest one counts. undefined: the text
 * has none of the names, or no number that could be meant.
 *
 * @example readEngineLoad('vllm:num_requests_waiting{model_name="m"} 3.0\n') // { waiting: 3, running: undefined, … }
 */
export function readEngineLoad(text: string): EngineLoad | undefined {
  const found: { [K in Figure]: number | undefined } = {
    waiting: undefined,
    running: undefined,
    kvUse: undefined,
  };
  for (let start = 0; start < text.length; ) {
    const newline = text.indexOf("\n", start);
    const end = newline === -1 ? text.length : newline;
    if (mayBeFigure(text, start) && end - start <= lineMax) addLine(text.slice(start, end), found);
    start = end + 1;
  }
  const isEmpty = Object.values(found).every((each) => each === undefined);
  return isEmpty ? undefined : found;
}

/** By its first letter: of a thousand lines of histograms nearly none is looked at. */
function mayBeFigure(text: string, at: number): boolean {
  return "vsl".includes(text.charAt(at));
}

function addLine(line: string, found: { [K in Figure]: number | undefined }): void {
  const nameEnd = line.search(/[{\s]/);
  const figure = figures.get(nameEnd === -1 ? line : line.slice(0, nameEnd));
  if (figure === undefined) return;
  const value = sampleOf(line, nameEnd);
  if (value === undefined) return;
  const before = found[figure] ?? 0;
  if (figure === "kvUse") found.kvUse = Math.max(before, Math.min(1, value));
  else found[figure] = before + value;
}

/** The value after the name and its labels; a time may follow. What is no number from 0 up tells nothing. */
function sampleOf(line: string, nameEnd: number): number | undefined {
  const labelsEnd = line.charAt(nameEnd) === "{" ? endOfLabels(line, nameEnd + 1) : nameEnd;
  if (labelsEnd === -1) return undefined;
  const [word = ""] = line.slice(labelsEnd).trim().split(/\s/, 1);
  if (word === "") return undefined;
  const value = Number(word);
  return Number.isFinite(value) && value >= 0 ? value : undefined;
}

/** The place after the closing brace; quoted values may hold braces and escaped quotes. -1: it does not close. */
function endOfLabels(line: string, start: number): number {
  let isQuoted = false;
  for (let at = start; at < line.length; at++) {
    const character = line.charAt(at);
    if (isQuoted && character === "\\") at += 1;
    else if (character === '"') isQuoted = !isQuoted;
    else if (character === "}" && !isQuoted) return at + 1;
  }
  return -1;
}
