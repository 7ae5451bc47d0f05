import type { EngineReport } from "@meridian/data-core/engine";
import { stateAge } from "@meridian/data-core/sync";
import { expect, test } from "vitest";
import type { FinishedExchange } from "./server/index.ts";
import { createMetrics, type Readings } from "./telemetry.ts";

const report: EngineReport = {
  version: undefined,
  region: "eu",
  draining: false,
  stateAgeMs: undefined,
  liveRequests: 3,
  requests: 9,
  inputTokens: 100,
  outputTokens: 50,
  edge: { answered: 7, failed: 2 },
  backends: [],
  peers: [],
  pools: [],
};

const readings: Readings = {
  report,
  probed: new Map(),
  engines: new Map([
    [
      "us-a",
      {
        counts: { told: 3, silent: 1, failed: 0 },
        load: { waiting: 2, running: 16, kvUse: undefined },
      },
    ],
    [
      "us-b",
      {
        counts: { told: 0, silent: 1, failed: 0 },
        load: { waiting: undefined, running: undefined, kvUse: undefined },
      },
    ],
  ]),
  paths: new Map([
    [
      "us",
      {
        counts: { state: { answered: 9, failed: 2 }, inference: { answered: 1, failed: 0 } },
        isWorking: false,
        rttMs: 82,
      },
    ],
  ]),
  status: {
    link: "waiting",
    control: undefined,
    held: undefined,
    stateAge: stateAge(undefined, 0),
    refused: undefined,
    retryAt: 5,
  },
  controls: new Map([
    ["a:1", true],
    ["b:2", false],
  ]),
  isReady: true,
  isOpen: false,
  decisionsDropped: 0,
  requestsByThread: [4, 5],
};

function exchange(more: Partial<FinishedExchange>): FinishedExchange {
  return {
    requestId: "req_1",
    decisionId: "req_1",
    arrivedAtMs: 1_700_000_000_000,
    revision: "1.1",
    ownMs: 0.2,
    heldMs: 0,
    shadow: "",
    errorCode: undefined,
    kind: "chat",
    tenant: "acme",
    model: "m",
    stream: false,
    status: 200,
    ending: "complete",
    region: "eu",
    arrivedFrom: undefined,
    durationMs: 120,
    firstTokenMs: 80,
    outcome: undefined,
    ...more,
  };
}

async function exposed(...exchanges: readonly Partial<FinishedExchange>[]): Promise<string> {
  const metrics = createMetrics("eu");
  for (const each of exchanges) metrics.finished(exchange(each));
  return metrics.expose(readings, []);
}

test.each<[string, Partial<FinishedExchange>, string]>([
  ["an answer", {}, 'meridian_requests_total{route="",model="m",status="2xx"} 1'],
  ["a client that left", { status: 499, ending: "client-gone" }, 'status="499"} 1'],
  [
    "a refusal",
    { status: 503, ending: "refused", region: "" },
    'meridian_refusals_total{model="m",code="503"} 1',
  ],
  ["a broken stream", { ending: "broken" }, 'meridian_broken_streams_total{route="",model="m"} 1'],
  [
    "an answer from another region",
    { region: "us" },
    'meridian_cross_region_requests_total{direction="out",region="us"} 1',
  ],
  [
    "a request from another region",
    { arrivedFrom: "ap" },
    'meridian_cross_region_requests_total{direction="in",region="ap"} 1',
  ],
  ["a wait", { heldMs: 340 }, 'meridian_held_seconds_bucket{le="0.5",route="",model="m"} 1'],
  ["a first token", {}, 'meridian_first_token_seconds_bucket{le="0.1",route="",model="m"} 1'],
])("%s is counted", async (_what, more, line) => {
  expect(await exposed(more)).toContain(line);
});

test("an answer of the own region crosses no border, and a refusal has no first token", async () => {
  const text = await exposed({}, { status: 503, ending: "refused", firstTokenMs: undefined });
  expect(text).not.toMatch(/^meridian_cross_region_requests_total\{/m);
  expect(text).toContain('meridian_first_token_seconds_count{route="",model="m"} 1');
  expect(text).not.toContain("meridian_held_seconds_count{");
});

test("values that are read are read anew each time", async () => {
  const metrics = createMetrics("eu");
  await metrics.expose(readings, []);
  const text = await metrics.expose({ ...readings, report: { ...report, inputTokens: 130 } }, []);
  for (const line of [
    'meridian_tokens_total{direction="input"} 130',
    "meridian_requests_in_flight 3",
    "meridian_state_age_seconds +Inf",
    'meridian_control_connected{control="a:1"} 1',
    'meridian_control_connected{control="b:2"} 0',
    "meridian_ready 1",
    "meridian_region_open 0",
    "meridian_snapshot_sequence 0",
    'meridian_engine_readings_total{backend="us-a",outcome="told"} 3',
    'meridian_engine_requests_waiting{backend="us-a"} 2',
    'meridian_engine_requests_running{backend="us-a"} 16',
  ]) {
    expect(text).toContain(line);
  }
  expect(text).not.toMatch(/^meridian_engine_requests_waiting\{backend="us-b"/m);
  expect(text).not.toMatch(/^meridian_engine_kv_use\{/m);
});

test("what listener threads counted is added, and what the main thread alone knows is told once", async () => {
  const threads = [createMetrics("eu"), createMetrics("eu")];
  threads[0]?.finished(exchange({}));
  threads[1]?.finished(exchange({}));
  threads[1]?.finished(exchange({ model: "other", firstTokenMs: 3_000 }));
  // Threads hand them over as structured clones.
  const counted = await Promise.all(threads.map((each) => each.counted().then(structuredClone)));
  const lines = (await createMetrics("eu").expose(readings, counted)).split("\n");
  for (const line of [
    'meridian_requests_total{route="",model="m",status="2xx"} 2',
    'meridian_requests_total{route="",model="other",status="2xx"} 1',
    'meridian_first_token_seconds_bucket{le="0.1",route="",model="m"} 2',
    'meridian_first_token_seconds_count{route="",model="other"} 1',
    'meridian_thread_requests_total{thread="0"} 4',
    'meridian_thread_requests_total{thread="1"} 5',
    'meridian_tokens_total{direction="input"} 100',
    "meridian_requests_in_flight 3",
    "meridian_ready 1",
    "meridian_state_age_seconds +Inf",
    "# TYPE meridian_requests_total counter",
  ]) {
    expect(lines.filter((each) => each === line)).toEqual([line]);
  }
});
