import { seededRandom } from "@meridian/proto/base";
import { fixtureFrame, fixtureSnapshot } from "@meridian/proto/fixture";
import { expect, test } from "vitest";
import type { Attempts } from "../attempt/index.ts";
import { createEngine, type Engine, type RequestFacts } from "./index.ts";
import { plainFacts } from "./test-facts.ts";

const names = ["a", "b", "c", "d"];
const sessions = Array.from({ length: 200 }, (_, each) => `chat-${each}`);

/** A proxy's engine; each has chances of its own. */
function proxy(seed: string, route: { readonly [field: string]: string } = {}): Engine {
  const document = {
    regions: [{ name: "eu" }],
    backends: names.map((name) => ({
      name,
      region: "eu",
      url: `http://${name}:1`,
      serves: [{ model: "big" }],
      capacity: { concurrency: 2 },
    })),
    models: [{ name: "big" }],
    routes: [{ name: "all", affinity: { header: "x-session" }, ...route }],
  };
  const engine = createEngine({ region: "eu", random: seededRandom(seed) });
  const snapshot = fixtureSnapshot("eu", document, 1);
  expect(engine.apply({ kind: "snapshot", snapshot }, 0).kind).toBe("ok");
  return engine;
}

type Asked = { readonly attempts: Attempts; readonly backend: string };

function ask(engine: Engine, session: string, more: Partial<RequestFacts> = {}, now = 0): Asked {
  const headers = { "x-session": session };
  const attempts = engine.begin({ ...plainFacts, headers, ...more }, now);
  const [command] = attempts.step({ kind: "start" }, now);
  return { attempts, backend: command?.kind === "call" ? command.choice.candidate.name : "none" };
}

/** Asks, and is answered. */
function place(engine: Engine, session: string, more: Partial<RequestFacts> = {}, now = 0): string {
  const { attempts, backend } = ask(engine, session, more, now);
  attempts.step({ kind: "complete", attempt: 1 }, now);
  return backend;
}

test("every proxy sends a session to one backend, and sessions are spread over all", () => {
  const [one, other] = [proxy("one"), proxy("other", { balance: "cache-aware" })];
  const places = sessions.map((session) => place(one, session));
  for (let again = 0; again < 3; again++) {
    expect(sessions.map((session) => place(other, session))).toEqual(places);
  }
  for (const name of names) {
    const count = places.filter((each) => each === name).length;
    expect(count > 25 && count < 75).toBe(true);
  }
});

test("while a backend is drained its sessions alone are elsewhere, and after it they are back", () => {
  const engine = proxy("drained");
  const before = sessions.map((session) => place(engine, session));
  const drain = { name: "b", draining: true, drainLeftMs: 10_000 };
  engine.apply({ kind: "state", frame: fixtureFrame({ backends: [drain] }) }, 0);
  const during = sessions.map((session) => place(engine, session, {}, 1));
  expect(during).not.toContain("b");
  for (const [each, name] of before.entries()) if (name !== "b") expect(during[each]).toBe(name);
  expect(sessions.map((session) => place(engine, session, {}, 10_001))).toEqual(before);
});

test("a session whose backend is at its limit goes to one other, and comes back when there is room", () => {
  const engine = proxy("limit");
  const own = place(engine, "chat-1");
  const held = [ask(engine, "chat-1"), ask(engine, "chat-1")];
  expect(held.map((each) => each.backend)).toEqual([own, own]);
  const second = place(engine, "chat-1");
  expect(second).not.toBe(own);
  expect(place(engine, "chat-1")).toBe(second);
  held[0]?.attempts.step({ kind: "complete", attempt: 1 }, 0);
  expect(place(engine, "chat-1")).toBe(own);
});

test("a session comes before what caches have; a request without one follows the caches", () => {
  const engine = proxy("caches", { balance: "cache-aware" });
  const prefix = Array.from({ length: 20 }, (_, each) => 1_000 + each);
  const prompt = { prefix, inputTokens: 6_000 };
  const first = place(engine, "chat-1", prompt);
  const elsewhere = sessions.find((session) => place(proxy("x"), session) !== first) ?? "";
  const second = place(engine, elsewhere, prompt);
  expect(second).not.toBe(first);
  expect(place(engine, "chat-1", prompt)).toBe(first);
  // Both have it in their caches now, and nobody else has.
  const warm = Array.from({ length: 20 }, () => place(engine, "", prompt));
  expect(warm.every((each) => each === first || each === second)).toBe(true);
});
