// Copies for a model that is tried out, against scripted model servers: they are made as often as the policy says, and
// whatever they do, clients see nothing of it.

import { expect, test, vi } from "vitest";
import { ask, type Bed, type FakeUpstream, type Script, useBeds } from "../server/test-bed.ts";

const { upstream, bed } = useBeds();
const wait = { timeout: 10_000, interval: 5 };

const body = { model: "m", messages: [{ role: "user", content: "hi" }] };
const answer: Script = (_, response) => {
  response.writeHead(200, { "content-type": "application/json" });
  response.end('{"model":"up","choices":[{"message":{"content":"hi"}}]}');
};
const hang: Script = () => undefined;
const stream: Script = (_, response) => {
  response.writeHead(200, { "content-type": "text/event-stream" });
  const chunk = (delta: object, finish: string | null = null) =>
    `data: ${JSON.stringify({ model: "up", choices: [{ index: 0, delta, finish_reason: finish }] })}\n\n`;
  response.end(`${chunk({ content: "hi" })}${chunk({}, "stop")}data: [DONE]\n\n`);
};

type World = { readonly eu: Bed; readonly own: FakeUpstream; readonly tried: FakeUpstream };

async function world(
  script: Script,
  shadow: { readonly [name: string]: number } = {},
  concurrency = 64,
): Promise<World> {
  const [own, tried] = [await upstream(answer), await upstream(script)];
  const eu = await bed({
    document: {
      regions: [{ name: "eu" }],
      backends: [
        { name: "own", region: "eu", url: own.url, serves: [{ model: "m", as: "up" }] },
        {
          name: "tried",
          region: "eu",
          url: tried.url,
          serves: [{ model: "new", as: "org/new" }],
          capacity: { concurrency },
        },
      ],
      models: [{ name: "m" }, { name: "new" }],
      routes: [
        {
          name: "all",
          match: { models: ["m"] },
          shadow: { model: "new", percent: 100, ...shadow },
        },
        { name: "rest" },
      ],
    },
  });
  return { eu, own, tried };
}

const chat = ({ eu }: World, more: object = {}) =>
  ask(`${eu.url}/v1/chat/completions`, { body: { ...body, ...more } });

test("a copy goes to the model that is tried out, under its own name, and the record tells of it", async () => {
  const made = await world(answer);
  const reply = await chat(made, { seed: 7 });
  expect(reply).toMatchObject({ status: 200, headers: { "x-meridian-backend": "own" } });
  await vi.waitUntil(() => made.eu.shadows.length > 0, wait);
  const [copy] = made.tried.seen;
  expect(JSON.parse(copy?.body ?? "")).toEqual({ ...body, model: "org/new", seed: 7 });
  expect(copy?.headers).toMatchObject({
    "x-meridian-shadow": "1",
    "x-request-id": reply.headers["x-request-id"],
  });
  expect(made.own.seen[0]?.headers).not.toHaveProperty("x-meridian-shadow");
  expect(made.eu.shadows).toMatchObject([{ route: "all", model: "new", outcome: "complete" }]);
  expect(made.eu.finished).toMatchObject([{ shadow: "new", model: "m" }]);
});

test("a stream is copied whole, and its first token is timed", async () => {
  const made = await world(stream);
  made.own.script = stream;
  const reply = await chat(made, { stream: true });
  expect(reply.body).toContain("data: [DONE]");
  await vi.waitUntil(() => made.eu.shadows.length > 0, wait);
  expect(made.eu.shadows[0]).toMatchObject({ outcome: "complete" });
  expect(made.eu.shadows[0]?.firstTokenMs).toBeGreaterThan(0);
});

test("as many requests are copied as the policy says", async () => {
  const made = await world(answer, { percent: 25 });
  const requests = 200;
  for (let each = 0; each < requests; each += 10) {
    await Promise.all(Array.from({ length: 10 }, () => chat(made)));
  }
  expect(made.own.seen).toHaveLength(requests);
  const copied = made.eu.finished.filter((each) => each.shadow !== "").length;
  // Four standard deviations of a binomial with 25 %.
  expect(Math.abs(copied + made.eu.skips.length - 50)).toBeLessThan(25);
  await vi.waitUntil(() => made.eu.shadows.length === copied, wait);
  expect(made.tried.seen).toHaveLength(copied);
});

test.each<[string, Script, string]>([
  ["hangs", hang, ""],
  ["is broken", (_, response) => void response.writeHead(500).end("x"), "failed"],
  ["cuts its answer", (_, response) => void response.destroy(), "failed"],
  ["refuses the request", (_, response) => void response.writeHead(400).end("{}"), "rejected"],
])("a model that %s changes no client's answer", async (_, script, outcome) => {
  const made = await world(script);
  const replies = await Promise.all(Array.from({ length: 10 }, () => chat(made)));
  const without = await world(answer, { percent: 1 });
  const plain = await chat(without);
  for (const reply of replies) {
    expect(reply).toMatchObject({ status: 200, clean: true, body: plain.body });
    expect(reply.headers["x-meridian-attempts"]).toBe("1");
  }
  expect(made.eu.finished.map((each) => each.ending)).toEqual(replies.map(() => "complete"));
  if (outcome === "") {
    // None has ended, and all clients have had their answers.
    await vi.waitUntil(() => made.tried.seen.length > 0, wait);
    expect(made.eu.shadows).toEqual([]);
  } else {
    await vi.waitUntil(() => made.eu.shadows.length > 0, wait);
    expect(new Set(made.eu.shadows.map((each) => each.outcome))).toEqual(new Set([outcome]));
  }
});

test("no more copies are under way at once than the policy allows", async () => {
  const made = await world(hang, { concurrency: 3 });
  for (let each = 0; each < 8; each++) expect((await chat(made)).status).toBe(200);
  await vi.waitUntil(() => made.tried.seen.length === 3, wait);
  expect(made.eu.skips).toEqual(
    Array.from({ length: 5 }, () => ({ route: "all", model: "new", reason: "crowded" })),
  );
});

test("a copy goes on when the client of its request leaves", async () => {
  const made = await world(hang);
  made.own.script = hang;
  const gone = ask(`${made.eu.url}/v1/chat/completions`, {
    body,
    onSent: (request) =>
      void vi
        .waitUntil(() => made.own.seen.length + made.tried.seen.length === 2, wait)
        .then(() => request.destroy()),
  });
  await expect(gone).rejects.toThrow();
  await vi.waitUntil(() => made.eu.finished.length === 1, wait);
  expect(made.eu.finished).toMatchObject([{ ending: "client-gone", shadow: "new" }]);
  expect(made.eu.shadows).toEqual([]);
  expect(made.eu.engine.report(0).backends).toMatchObject([{ name: "own" }, { inFlight: 1 }]);
});

test("a client that needs the place of copies gets it: they are cut at once", async () => {
  const made = await world(hang, { concurrency: 4 }, 2);
  await chat(made);
  await chat(made);
  await vi.waitUntil(() => made.tried.seen.length === 2, wait);
  made.tried.script = answer;
  const reply = await chat(made, { model: "new" });
  expect(reply).toMatchObject({ status: 200, headers: { "x-meridian-backend": "tried" } });
  expect(made.eu.shadows.map((each) => each.outcome)).toEqual(["cut", "cut"]);
});

test("a proxy that stops waits for no copy", async () => {
  const made = await world(hang);
  await chat(made);
  await vi.waitUntil(() => made.tried.seen.length === 1, wait);
  await made.eu.server.beginDrain();
  await made.eu.server.close();
  expect(made.eu.shadows).toMatchObject([{ outcome: "cut" }]);
});
