// Probes against scripted model servers: what is asked, what counts, and what does not.

import type { ServerResponse } from "node:http";
import { seededRandom } from "@meridian/proto/base";
import type { ProbeView } from "@meridian/proto/snapshot";
import { expect, test, vi } from "vitest";
import { type Script, type SeenRequest, useBeds } from "../server/test-bed.ts";
import { Prober, type ProbeStanding } from "./prober.ts";

const { upstream, atEnd } = useBeds();

const chat: ProbeView = {
  path: "/health",
  canary: {
    as: "org/m",
    mark: 0,
    ask: { kind: "chat", prompt: "2+2=", maxTokens: 4 },
    expect: { kind: "contains", text: "4" },
    latencyMs: 5_000,
  },
};

const embedding: ProbeView = {
  path: "/health",
  canary: {
    as: "e",
    mark: 7,
    ask: { kind: "embedding", input: "blue" },
    expect: undefined,
    latencyMs: undefined,
  },
};

function json(response: ServerResponse, value: object, status = 200): void {
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(value));
}

function answering(content: string): Script {
  return ({ url }, response) => {
    if (url === "/health") json(response, {});
    else json(response, { model: "org/m", choices: [{ message: { content } }] });
  };
}

type Started = {
  readonly prober: Prober;
  readonly failures: string[];
  readonly seen: SeenRequest[];
};

async function start(
  script: Script,
  probe: ProbeView = chat,
  more: Partial<ProbeStanding> = {},
): Promise<Started> {
  const server = await upstream(script);
  const failures: string[] = [];
  const prober = new Prober({
    clock: { now: () => performance.now(), wall: () => Date.now() },
    random: seededRandom("prober"),
    standing: () => ({ isMine: true, need: "proving", reference: [], referenceMark: 0, ...more }),
    failed: (_, kind, reason) => failures.push(`${kind} ${reason}`),
  });
  atEnd(() => prober.close());
  prober.arrange([{ candidate: { name: "b", origin: server.url }, probe }]);
  return { prober, failures, seen: server.seen };
}

const wait = { timeout: 8_000, interval: 50 };

test("a good server is probed and asked, and its answers are right", async () => {
  const { prober, failures, seen } = await start(answering("It is 4."));
  await vi.waitFor(() => {
    expect(prober.counts("b")).toMatchObject({ probesFailed: 0, canariesWrong: 0, slow: 0 });
    expect(prober.counts("b")?.probes).toBeGreaterThan(1);
    expect(prober.counts("b")?.canaries).toBeGreaterThan(0);
    expect(prober.counts("b")?.timed).toBeGreaterThan(0);
  }, wait);
  expect(failures).toEqual([]);
  const asked = seen.find((each) => each.url === "/v1/chat/completions");
  expect(JSON.parse(asked?.body ?? "")).toMatchObject({ model: "org/m", max_tokens: 4 });
  expect(prober.counts("b")?.canaryTokensPerDay).toBe(48_000 * 5);
});

test.each<[string, Script, string]>([
  ["wrong words", answering("It is 5."), "canary other-text"],
  ["nothing", answering(""), "canary empty"],
  [
    "another model",
    ({ url }, response) =>
      json(
        response,
        url === "/health" ? {} : { model: "n", choices: [{ message: { content: "4" } }] },
      ),
    "canary other-model",
  ],
  [
    "an error in a 200",
    ({ url }, response) => json(response, url === "/health" ? {} : { error: { message: "x" } }),
    "canary no answer of this protocol",
  ],
  [
    "a 404 for its model",
    ({ url }, response) => json(response, {}, url === "/health" ? 200 : 404),
    "canary status 404",
  ],
])("%s is a wrong answer", async (_, script, failure) => {
  const { prober, failures } = await start(script);
  await vi.waitFor(() => expect(prober.counts("b")?.canariesWrong).toBeGreaterThan(0), wait);
  expect(failures).toContain(failure);
  expect(prober.counts("b")?.probesFailed).toBe(0);
});

test("a server without room is neither wrong nor failing", async () => {
  const { prober, seen } = await start(({ url }, response) => {
    if (url === "/health") json(response, {});
    else response.writeHead(503, { "retry-after": "1" }).end();
  });
  const asked = () => seen.filter((each) => each.url !== "/health").length;
  await vi.waitFor(() => expect(asked()).toBeGreaterThan(1), wait);
  expect(prober.counts("b")).toMatchObject({ canaries: 0, canariesWrong: 0, probesFailed: 0 });
});

test("a failing server and one that is gone fail their probes", async () => {
  const failing = await start((_, response) => response.writeHead(500).end());
  await vi.waitFor(() => expect(failing.prober.counts("b")?.probesFailed).toBeGreaterThan(1), wait);
  expect(failing.failures).toContain("alive status 500");
  const gone = await start((_, response) => response.destroy());
  await vi.waitFor(() => expect(gone.prober.counts("b")?.probesFailed).toBeGreaterThan(1), wait);
});

test("a server without the path lives, and one that another proxy probes is left alone", async () => {
  const { prober } = await start(({ url }, response) => {
    if (url === "/health") json(response, {}, 404);
    else json(response, { model: "org/m", choices: [{ message: { content: "4" } }] });
  });
  await vi.waitFor(() => expect(prober.counts("b")?.probes).toBeGreaterThan(1), wait);
  expect(prober.counts("b")?.probesFailed).toBe(0);
  const other = await start(answering("4"), chat, { isMine: false });
  await vi.waitFor(() => expect(prober.counts("b")?.probes).toBeGreaterThan(3), wait);
  expect(other.seen).toEqual([]);
});

test("a vector is kept for comparing, in 64 of its dimensions, and another one is wrong", async () => {
  const vector = Array.from({ length: 256 }, (_, at) => Math.sin(at));
  const serve: Script = ({ url }, response) =>
    json(response, url === "/health" ? {} : { model: "e", data: [{ embedding: vector }] });
  const first = await start(serve, embedding);
  await vi.waitFor(() => expect(first.prober.counts("b")?.canaryVector).toHaveLength(64), wait);
  const reference = first.prober.counts("b")?.canaryVector ?? [];
  const reversed = [...reference].reverse();
  const same = await start(serve, embedding, { reference, referenceMark: 7 });
  const other = await start(serve, embedding, { reference: reversed, referenceMark: 7 });
  const changed = await start(serve, embedding, { reference: reversed, referenceMark: 8 });
  await vi.waitFor(() => {
    expect(same.prober.counts("b")?.canaries).toBeGreaterThan(0);
    expect(other.prober.counts("b")?.canariesWrong).toBeGreaterThan(0);
    expect(changed.prober.counts("b")?.canaries).toBeGreaterThan(0);
  }, wait);
  // A vector that answers another question says nothing about this one's.
  expect(changed.prober.counts("b")).toMatchObject({ canariesWrong: 0, canaryMark: 7 });
  expect(same.prober.counts("b")?.canariesWrong).toBe(0);
});
