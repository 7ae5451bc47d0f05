// Reading queues of scripted model servers, and of a whole proxy's: what is written where choices are made.

import type { EngineLoad } from "@meridian/data-core/balance";
import { seededRandom } from "@meridian/proto/base";
import { expect, test, vi } from "vitest";
import { type FakeUpstream, type Script, useBeds } from "../server/test-bed.ts";
import { EngineReader } from "./engine-reader.ts";

const { upstream, atEnd } = useBeds();

const wait = { timeout: 15_000, interval: 20 };

type Started = {
  readonly reader: EngineReader;
  readonly server: FakeUpstream;
  readonly notes: EngineLoad[];
};

async function start(
  script: Script,
  { path = "/metrics", inFlight = 1 }: { readonly path?: string; readonly inFlight?: number } = {},
): Promise<Started> {
  const server = await upstream(script);
  const notes: EngineLoad[] = [];
  const reader = new EngineReader({
    clock: { now: () => performance.now(), wall: () => Date.now() },
    random: seededRandom("reader"),
    backends: { inFlight: () => inFlight, note: (_, load) => notes.push(load) },
  });
  atEnd(() => reader.close());
  reader.arrange([{ name: "b", origin: server.url, metricsPath: path }]);
  return { reader, server, notes };
}

/** vLLM's text with so many that wait. */
function vllm(waiting: () => number): Script {
  return (_, response) => {
    response.writeHead(200, { "content-type": "text/plain; version=0.0.4" });
    response.end(`vllm:num_requests_waiting{model_name="m"} ${waiting()}.0\n`);
  };
}

/** Until a server that is read would have been read again. */
async function timePasses(): Promise<void> {
  const other = await start(vllm(() => 0));
  await vi.waitFor(() => expect(other.notes.length).toBeGreaterThan(2), wait);
}

test("a server at work is read again and again, on one connection, and what it says is noted", async () => {
  let waiting = 0;
  const { notes, reader, server } = await start(vllm(() => waiting++));
  await vi.waitFor(() => expect(notes.length).toBeGreaterThan(2), wait);
  expect(notes.slice(0, 3).map((each) => each.waiting)).toEqual([0, 1, 2]);
  expect(new Set(server.seen.map((each) => `${each.method} ${each.url}`))).toEqual(
    new Set(["GET /metrics"]),
  );
  expect(reader.counts().get("b")).toMatchObject({ silent: 0, failed: 0 });
  expect(new Set(server.seen.map((each) => each.headers.connection))).toEqual(
    new Set(["keep-alive"]),
  );
});

test("the path is the policy's", async () => {
  const { notes, server } = await start(
    vllm(() => 1),
    { path: "/engine/metrics" },
  );
  await vi.waitFor(() => expect(notes.length).toBeGreaterThan(0), wait);
  expect(server.seen[0]?.url).toBe("/engine/metrics");
});

const endless: Script = (_, response) => {
  const more = () => {
    while (!response.destroyed && response.write("x 1\n".repeat(10_000)));
    if (!response.destroyed) response.once("drain", more);
  };
  more();
};

test("a server that tells no queue is left alone for a while", async () => {
  const silent: readonly Script[] = [
    (_, response) => response.writeHead(404).end(),
    (_, response) => response.writeHead(401).end(),
    (_, response) => response.end("go_goroutines 7\n"),
    (_, response) => response.end("<html>vllm:num_requests_waiting 3</html>"),
    endless,
  ];
  const started = await Promise.all(silent.map((script) => start(script)));
  await vi.waitFor(() => {
    for (const { reader } of started) expect(reader.counts().get("b")?.silent).toBe(1);
  }, wait);
  await timePasses();
  for (const { notes, server } of started) {
    expect(notes).toEqual([]);
    expect(server.seen).toHaveLength(1);
  }
});

test("of a server that fails, hangs up or never answers the queue is not known", async () => {
  const failing: readonly Script[] = [
    (_, response) => response.writeHead(500).end(),
    (_, response) => response.destroy(),
    () => undefined,
  ];
  const started = await Promise.all(failing.map((script) => start(script)));
  await vi.waitFor(() => {
    for (const { reader } of started) expect(reader.counts().get("b")?.failed).toBeGreaterThan(0);
  }, wait);
  for (const { notes } of started) expect(notes).toEqual([]);
});

test("a backend whose policy says none is never read, and one that is dropped no more", async () => {
  const { reader, server, notes } = await start(vllm(() => 0));
  await vi.waitFor(() => expect(notes.length).toBeGreaterThan(0), wait);
  reader.arrange([{ name: "b", origin: server.url, metricsPath: undefined }]);
  const { length } = server.seen;
  await timePasses();
  // The one that was under way may have come still.
  expect(server.seen.length).toBeLessThanOrEqual(length + 1);
  expect(reader.counts().size).toBe(0);
});

test("a reader that is closed reads no more", async () => {
  const { reader, server, notes } = await start(vllm(() => 0));
  await vi.waitFor(() => expect(notes.length).toBeGreaterThan(0), wait);
  await reader.close();
  const { length } = server.seen;
  await timePasses();
  expect(server.seen).toHaveLength(length);
});
