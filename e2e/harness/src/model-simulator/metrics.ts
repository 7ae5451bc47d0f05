// The figures of each model under vLLM's names, so that whatever reads vLLM reads the simulator.

import type { ModelRunner } from "./model-runner.ts";
import type { Load } from "./scheduler.ts";

const figures: readonly {
  readonly name: string;
  readonly type: "gauge" | "counter";
  readonly of: (load: Load) => number;
}[] = [
  { name: "num_requests_running", type: "gauge", of: (load) => load.running },
  { name: "num_requests_waiting", type: "gauge", of: (load) => load.queued },
  { name: "gpu_cache_usage_perc", type: "gauge", of: (load) => load.kvUsed },
  { name: "prompt_tokens_total", type: "counter", of: (load) => load.promptTokens },
  { name: "generation_tokens_total", type: "counter", of: (load) => load.generationTokens },
  { name: "prefix_cache_queries_total", type: "counter", of: (load) => load.prefixQueries },
  { name: "prefix_cache_hits_total", type: "counter", of: (load) => load.prefixHits },
];

/** Prometheus text. */
export function showMetrics(runners: readonly ModelRunner[]): string {
  const lines = figures.flatMap(({ name, type, of }) => [
    `# TYPE vllm:${name} ${type}`,
    ...runners.map((each) => `vllm:${name}{${label(each)}} ${of(each.load())}`),
  ]);
  lines.push("# TYPE vllm:request_success_total counter");
  for (const each of runners) {
    for (const [reason, count] of Object.entries(each.finished)) {
      lines.push(`vllm:request_success_total{${label(each)},finished_reason="${reason}"} ${count}`);
    }
  }
  return `${lines.join("\n")}\n`;
}

function label(runner: ModelRunner): string {
  return `model_name=${JSON.stringify(runner.spec.name)}`;
}
