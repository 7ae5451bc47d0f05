// deploy/probe.sh as cron or a balancer calls it: against a server that answers as told, and against none.

import { execFile } from "node:child_process";
import { once } from "node:events";
import http from "node:http";
import type { AddressInfo } from "node:net";
import path from "node:path";
import { ensureProgram, repositoryRoot } from "@meridian/harness";
import { afterEach, beforeAll, expect, test } from "vitest";

const script = path.join(repositoryRoot, "deploy/probe.sh");

type Behaviour = {
  readonly status?: number;
  readonly content?: string;
  readonly delayMs?: number;
  readonly models?: string;
  readonly body?: string;
};

const servers: http.Server[] = [];

beforeAll(async () => {
  await ensureProgram({ program: "curl", package: "curl" }, console.error);
}, 300_000);

afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

/** What was asked stays in `seen`. */
async function serve(behaviour: Behaviour): Promise<{ url: string; seen: Seen[] }> {
  const seen: Seen[] = [];
  const server = http.createServer((request, response) => {
    let body = "";
    request.on("data", (part: Buffer) => {
      body += part.toString();
    });
    request.on("end", () => {
      seen.push({ url: request.url ?? "", key: request.headers.authorization, body });
      if (request.url === "/v1/models") {
        response.end(
          behaviour.models ?? '{"object":"list","data":[{"id":"org/m-1","object":"model"}]}',
        );
        return;
      }
      const message = { role: "assistant", content: behaviour.content ?? "ok" };
      const answer = JSON.stringify({ choices: [{ index: 0, message, finish_reason: "stop" }] });
      setTimeout(() => {
        response.writeHead(behaviour.status ?? 200, { "content-type": "application/json" });
        response.end(behaviour.body ?? answer);
      }, behaviour.delayMs ?? 0);
    });
  });
  servers.push(server);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, seen };
}

type Seen = { readonly url: string; readonly key: string | undefined; readonly body: string };
type Run = { readonly code: number; readonly out: string; readonly errors: string };

function probe(args: readonly string[], environment: Record<string, string> = {}): Promise<Run> {
  return new Promise((resolve) => {
    const env = { PATH: process.env.PATH ?? "", ...environment };
    const child = execFile(script, [...args], { env }, (_, out, errors) => {
      resolve({ code: child.exitCode ?? -1, out: out.trim(), errors });
    });
  });
}

const told = /^STATUS=(healthy|degraded|unhealthy),LATENCY_MS=\d+$/;

test.each<[string, Behaviour, number]>([
  ["answers", {}, 0],
  ["answers with quotes and line breaks", { content: 'say "ok"\nand \\ more' }, 0],
  ["answers slowly", { delayMs: 350 }, 1],
  ["answers nothing", { content: "" }, 2],
  ["answers with no JSON", { body: "<html>content</html>" }, 2],
  ["fails", { status: 500 }, 2],
  ["refuses the key", { status: 401 }, 2],
  ["is full", { status: 429 }, 2],
  ["answers far too late", { delayMs: 5_000 }, 2],
  ["serves no model", { models: '{"data":[]}' }, 2],
])("a server that %s", async (_, behaviour, code) => {
  const { url } = await serve(behaviour);
  const run = await probe([url, "300"]);
  expect(run.out).toMatch(told);
  expect(run).toMatchObject({ code });
});

test("nobody there is unhealthy", async () => {
  const run = await probe(["http://127.0.0.1:1", "300"], { PROBE_MODEL: "m" });
  expect(run.code).toBe(2);
  expect(run.out).toMatch(/^STATUS=unhealthy,LATENCY_MS=\d+$/);
});

test("the model is the server's own, a key goes in the header, the expected text decides", async () => {
  const { url, seen } = await serve({ content: "It is 4." });
  const environment = { PROBE_KEY: 'se"cret', PROBE_PROMPT: 'two "and" two', PROBE_EXPECT: "4" };
  expect(await probe([url], environment)).toMatchObject({ code: 0 });
  expect(seen[1]).toMatchObject({ url: "/v1/chat/completions", key: 'Bearer se"cret' });
  expect(JSON.parse(seen[1]?.body ?? "")).toMatchObject({
    model: "org/m-1",
    messages: [{ role: "user", content: 'two "and" two' }],
  });
  expect(await probe([url], { ...environment, PROBE_EXPECT: "5" })).toMatchObject({ code: 2 });
});

test("of the server's models the first is asked, not what else has an id, as vLLM's list holds it", async () => {
  const permission = [{ id: "modelperm-1", object: "model_permission" }];
  const data = [
    { id: "org/m-1", object: "model", permission },
    { id: "org/m-2", object: "model", permission },
  ];
  const { url, seen } = await serve({ models: JSON.stringify({ object: "list", data }, null, 1) });
  expect(await probe([url, "10000"])).toMatchObject({ code: 0 });
  expect(JSON.parse(seen[1]?.body ?? "")).toMatchObject({ model: "org/m-1" });
});

test.each(["", "/", "/v1", "/v1/", "/v1/chat/completions"])(
  "the address may end with %j, as clients write it",
  async (end) => {
    const { url, seen } = await serve({});
    expect(await probe([url + end, "10000"])).toMatchObject({ code: 0 });
    expect(seen.map((each) => each.url)).toEqual(["/v1/models", "/v1/chat/completions"]);
  },
);

test.each([[[]], [["ftp://x"]], [["http://127.0.0.1:1", "soon"]], [["http://127.0.0.1:1", "0"]]])(
  "%j is told to be wrong, and healthy is not said",
  async (args) => {
    const run = await probe(args);
    expect(run.code).toBe(2);
    expect(run.out).toMatch(told);
    expect(run.errors).toContain("usage:");
  },
);
