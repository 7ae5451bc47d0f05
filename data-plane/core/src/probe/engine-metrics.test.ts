import fc from "fast-check";
import { expect, test } from "vitest";
import { readEngineLoad } from "./engine-metrics.ts";

test("vLLM's queue is read, over its models and engines, by the new and the old name of its cache", () => {
  const text = `# HELP vllm:num_requests_waiting Number of requests waiting to be processed.
# TYPE vllm:num_requests_waiting gauge
vllm:num_requests_waiting{engine="0",model_name="org/m"} 3.0
vllm:num_requests_waiting{engine="1",model_name="org/m"} 1.0
vllm:num_requests_waiting_by_reason{engine="0",reason="capacity"} 50.0
vllm:num_requests_running{engine="0",model_name="org/m"} 16.0
vllm:num_requests_running{engine="1",model_name="org/m"} 12.0
vllm:kv_cache_usage_perc{engine="0",model_name="org/m"} 0.93
vllm:kv_cache_usage_perc{engine="1",model_name="org/m"} 0.41
vllm:time_to_first_token_seconds_bucket{le="0.001",model_name="org/m"} 7.0
`;
  expect(readEngineLoad(text)).toEqual({ waiting: 4, running: 28, kvUse: 0.93 });
  expect(readEngineLoad('vllm:gpu_cache_usage_perc{model_name="m"} 0.5')).toEqual({
    waiting: undefined,
    running: undefined,
    kvUse: 0.5,
  });
});

test("SGLang's and llama.cpp's queues are read", () => {
  const sglang = `sglang:num_queue_reqs{model_name="m"} 2826.0
sglang:num_running_reqs{model_name="m"} 162.0
sglang:token_usage{model_name="m"} 0.28`;
  expect(readEngineLoad(sglang)).toEqual({ waiting: 2826, running: 162, kvUse: 0.28 });
  const llamacpp = `llamacpp:requests_processing 4\r
llamacpp:requests_deferred 46 1712345678901
llamacpp:n_busy_slots_per_decode 3.9
`;
  expect(readEngineLoad(llamacpp)).toEqual({ waiting: 46, running: 4, kvUse: undefined });
});

test("labels may hold braces, quotes and spaces", () => {
  const text = String.raw`vllm:num_requests_waiting{model_name="a} 9 \" b\\",x="{"} 2`;
  expect(readEngineLoad(text)?.waiting).toBe(2);
});

test.each([
  "",
  "hello",
  "<html>vllm:num_requests_waiting 3</html>",
  "process_resident_memory_bytes 1e9",
  "vllm:num_requests_waiting",
  "vllm:num_requests_waiting ",
  "vllm:num_requests_waiting NaN",
  "vllm:num_requests_waiting +Inf",
  "vllm:num_requests_waiting -1",
  "vllm:num_requests_waiting 3x",
  'vllm:num_requests_waiting{a="b" 3',
  " vllm:num_requests_waiting 3",
  "vllm:num_requests_waitings 3",
  `vllm:num_requests_waiting{a="${"x".repeat(5_000)}"} 3`,
])("%j tells nothing, which is not the same as no queue", (text) => {
  expect(readEngineLoad(text)).toBeUndefined();
});

const names = [
  "vllm:num_requests_waiting",
  "vllm:num_requests_running",
  "sglang:token_usage",
  "llamacpp:requests_deferred",
];
const values = fc.oneof(
  fc.constantFrom("NaN", "+Inf", "-Inf", "-3", "1e400", "0x10", "1e-400", "", "12"),
  fc.double().map(String),
);
const lines = fc.oneof(
  fc.string(),
  fc
    .tuple(fc.constantFrom(...names), fc.string(), values)
    .map(([name, labels, value]) => `${name}{${labels}} ${value}`),
  fc.tuple(fc.constantFrom(...names), values).map(([name, value]) => `${name} ${value}`),
);

test("whatever a server answers, nothing throws, and what is told is a number from 0 up", () => {
  const texts = fc.oneof(
    fc.uint8Array({ maxLength: 500 }).map((bytes) => Buffer.from(bytes).toString("latin1")),
    fc.array(lines).map((each) => each.join("\n")),
  );
  fc.assert(
    fc.property(texts, (text) => {
      const { waiting, running, kvUse } = readEngineLoad(text) ?? {};
      for (const each of [waiting, running, kvUse]) {
        if (each !== undefined) expect(each).toBeGreaterThanOrEqual(0);
      }
      if (kvUse !== undefined) expect(kvUse).toBeLessThanOrEqual(1);
    }),
    { numRuns: 500 },
  );
});
