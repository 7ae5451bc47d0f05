import { seededRandom } from "@meridian/proto/base";
import { describe, expect, test } from "vitest";
import type { StoreEvent } from "./entry.ts";
import { WatchEngine } from "./watch-engine.ts";
import {
  type ProbeResult,
  type WatchCommand,
  type WatchInput,
  type WatchResponse,
  watchTimings,
} from "./watch-messages.ts";

/** An engine with its clock, run by hand. */
class Bench {
  now = 1_000;
  readonly engine: WatchEngine;
  readonly said: WatchCommand[] = [];

  constructor(from = 10, endpoints = 3) {
    this.engine = new WatchEngine({ from, endpoints, random: seededRandom("rules") });
    this.step({ kind: "start" });
  }

  step(input: WatchInput): void {
    this.said.push(...this.engine.step(input, this.now));
  }

  respond(fields: Partial<WatchResponse>, stream = this.opened().stream): void {
    const empty = { created: false, canceled: false, cancelReason: "", compactRevision: 0 };
    const response = { revision: 50, fragment: false, events: [], ...empty, ...fields };
    this.step({ kind: "response", stream, response });
  }

  answer(result: ProbeResult): void {
    const probe = this.said.findLast((each) => each.kind === "probe");
    if (probe?.kind === "probe") this.step({ kind: "probed", probe: probe.probe, result });
  }

  /** Created and confirmed. */
  goLive(revision = 50): void {
    this.respond({ created: true });
    this.answer({ kind: "answered", revision, newest: 0 });
    expect(this.engine.state).toBe("live");
  }

  fail(message = "cut"): void {
    this.step({ kind: "failed", stream: this.opened().stream, message });
  }

  /** Ticks as the shell would, whenever the engine asks for it. */
  passUntil(at: number): void {
    for (;;) {
      const wakeAt = this.engine.wakeAt;
      if (wakeAt === undefined || wakeAt > at) break;
      this.now = Math.max(this.now, wakeAt);
      this.step({ kind: "tick" });
    }
    this.now = at;
  }

  /** Waits for the next stream to be opened, at most as long as one backoff lasts. */
  reopened(): { readonly endpoint: number; readonly from: number } {
    const before = this.opened().stream;
    this.passUntil(this.now + watchTimings.backoff.capMs);
    const { stream, endpoint, from } = this.opened();
    expect(stream).not.toBe(before);
    return { endpoint, from };
  }

  opened() {
    const command = this.said.findLast((each) => each.kind === "open");
    if (command?.kind !== "open") throw new Error("no stream was opened");
    return command;
  }

  notices(): readonly string[] {
    return this.said.flatMap((each) => (each.kind === "notify" ? [each.notice.kind] : []));
  }
}

function put(modRevision: number): StoreEvent {
  const entry = { key: "/p/a", value: new Uint8Array(), createRevision: 2, modRevision };
  return { kind: "put", entry };
}

describe("resuming", () => {
  test("goes by the last event, not by the header of its batch", () => {
    const bench = new Bench(10);
    bench.goLive(5_000);
    bench.respond({ revision: 5_000, events: [put(10), put(1_009)] });
    bench.fail();
    // 1010 is wanted; one earlier is asked for, see the engine.
    expect(bench.reopened().from).toBe(1_009);
  });

  test("goes by a progress notification's header", () => {
    const bench = new Bench(10);
    bench.goLive(70);
    bench.respond({ revision: 70 });
    bench.fail();
    expect(bench.reopened().from).toBe(70);
  });

  test("starts anew from the last whole revision when a fragment is cut", () => {
    const bench = new Bench(10);
    bench.goLive();
    bench.respond({ fragment: true, events: [put(11), put(12)] });
    expect(bench.said.at(-1)).toMatchObject({ notice: { kind: "events", revision: 11 } });
    bench.fail();
    expect(bench.reopened().from).toBe(11);
  });

  test("never starts at 0, which means now", () => {
    expect(new Bench(1).opened().from).toBe(1);
  });

  test.each([
    ["a compaction", { canceled: true, compactRevision: 30 }, 31],
    [
      "a creation refused for a compaction",
      { created: true, canceled: true, compactRevision: 9 },
      10,
    ],
  ])("%s ends the watch, and tells from where on there is history", (_name, fields, oldest) => {
    const bench = new Bench(5);
    bench.respond(fields);
    expect(bench.said.at(-1)).toEqual({ kind: "notify", notice: { kind: "compacted", oldest } });
    expect(bench.engine.ended).toBe(true);
    expect(bench.engine.wakeAt).toBeUndefined();
    expect(bench.engine.step({ kind: "tick" }, 99_999)).toEqual([]);
  });

  test("a store that went back to its past ends the watch", () => {
    const bench = new Bench(100);
    bench.goLive(120);
    bench.fail();
    bench.reopened();
    bench.respond({ created: true });
    bench.answer({ kind: "answered", revision: 40, newest: 40 });
    expect(bench.said.at(-1)).toMatchObject({ notice: { kind: "compacted", oldest: 41 } });
  });
});

test("a watch from a revision to come waits for it, though reads see an older store", () => {
  const bench = new Bench(100);
  bench.goLive(97);
  bench.passUntil(bench.now + watchTimings.quietMs);
  bench.answer({ kind: "answered", revision: 98, newest: 98 });
  expect(bench.engine.state).toBe("live");
  bench.respond({ revision: 100, events: [put(100)] });
  expect(bench.notices()).toEqual(["events"]);
});

test("a read that newer events overtook is no sign of a store that went back", () => {
  const bench = new Bench(10);
  bench.respond({ created: true });
  bench.respond({ revision: 60, events: [put(59), put(60)] });
  bench.answer({ kind: "answered", revision: 58, newest: 58 });
  expect(bench.engine.ended).toBe(false);
  expect(bench.engine.state).toBe("live");
});

describe("members", () => {
  test("without a leader the next member is used, and the nearest again after its rest", () => {
    const bench = new Bench();
    bench.goLive();
    expect(bench.opened().endpoint).toBe(0);
    bench.fail("etcdserver: no leader");
    expect(bench.reopened().endpoint).toBe(1);
    bench.goLive();
    bench.now += watchTimings.restMs;
    bench.fail();
    expect(bench.reopened().endpoint).toBe(0);
  });

  test("a watch on a farther member moves home when a nearer one answers, and tells nothing of it", () => {
    const bench = new Bench();
    bench.goLive();
    bench.fail();
    expect(bench.reopened().endpoint).toBe(1);
    bench.goLive();
    const told = bench.notices().length;
    const askAt = bench.now + watchTimings.homeMs;
    while (bench.now < askAt) {
      bench.passUntil(bench.now + 5_000);
      bench.respond({ revision: 50 + bench.now });
    }
    expect(bench.said.at(-2)).toMatchObject({ kind: "probe", endpoint: 0 });
    bench.answer({ kind: "failed", message: "still down" });
    expect(bench.opened().endpoint).toBe(1);
    const nextAt = bench.now + watchTimings.homeMs;
    while (bench.now < nextAt) {
      bench.passUntil(bench.now + 5_000);
      bench.respond({ revision: 50 + bench.now });
    }
    const { stream } = bench.opened();
    bench.answer({ kind: "answered", revision: 50 + bench.now, newest: 0 });
    expect(bench.said).toContainEqual({ kind: "close", stream });
    expect(bench.opened().endpoint).toBe(0);
    bench.goLive(50 + bench.now);
    const later = bench.notices().slice(told);
    expect(later.every((kind) => kind === "progress")).toBe(true);
  });

  test("a watch that is not created in time is tried elsewhere", () => {
    const bench = new Bench();
    bench.passUntil(bench.now + watchTimings.createMs + watchTimings.backoff.baseMs);
    expect(bench.opened().endpoint).toBe(1);
    expect(bench.notices()).toEqual(["interrupted"]);
  });

  test("messages of a stream given up change nothing", () => {
    const bench = new Bench();
    bench.goLive();
    const old = bench.opened().stream;
    bench.fail();
    bench.reopened();
    const before = bench.said.length;
    bench.respond({ events: [put(20)] }, old);
    bench.respond({ created: true }, old);
    bench.step({ kind: "failed", stream: old, message: "late" });
    expect(bench.said.length).toBe(before);
  });

  test("an interruption is told once however often it takes, and its end once", () => {
    const bench = new Bench();
    bench.goLive();
    for (let round = 0; round < 4; round++) {
      bench.fail();
      bench.reopened();
    }
    bench.goLive();
    expect(bench.notices()).toEqual(["interrupted", "resumed"]);
  });

  test("waits between attempts grow, are jittered, and stay below the cap", () => {
    const bench = new Bench();
    const waits: number[] = [];
    for (let round = 0; round < 12; round++) {
      bench.fail();
      waits.push((bench.engine.wakeAt ?? 0) - bench.now);
      bench.reopened();
    }
    expect(Math.max(...waits)).toBeLessThanOrEqual(watchTimings.backoff.capMs);
    expect(Math.max(...waits.slice(6))).toBeGreaterThan(watchTimings.backoff.capMs / 3);
    expect(new Set(waits).size).toBeGreaterThan(6);
  });
});

describe("life", () => {
  test("an isolated member is noticed within 9 s, though it sends progress notifications", () => {
    const bench = new Bench(10);
    bench.goLive(50);
    bench.respond({ revision: 50 });
    const isolatedAt = bench.now;
    for (let second = 1; second <= 9 && bench.engine.state === "live"; second++) {
      bench.passUntil(isolatedAt + second * 1_000);
      if (bench.engine.state === "live") bench.respond({ revision: 50 });
    }
    expect(bench.engine.state).toBe("stale");
    expect(bench.notices().at(-1)).toBe("interrupted");
    expect(bench.now - isolatedAt).toBeLessThanOrEqual(9_000);
  });

  test("a read that saw a write which the watch does not tell means that the watch is dead", () => {
    const bench = new Bench(10);
    bench.goLive(50);
    bench.passUntil(bench.now + watchTimings.quietMs);
    bench.answer({ kind: "answered", revision: 60, newest: 55 });
    bench.passUntil(bench.now + watchTimings.overdueMs);
    expect(bench.notices()).toEqual(["interrupted"]);
    expect(bench.engine.state).toBe("rebuilding");
    expect(bench.reopened().endpoint).toBe(1);
  });

  test("a write that a read saw and the watch then tells is no alarm", () => {
    const bench = new Bench(10);
    bench.goLive(50);
    bench.passUntil(bench.now + watchTimings.quietMs);
    bench.answer({ kind: "answered", revision: 60, newest: 55 });
    bench.respond({ revision: 60, events: [put(55)] });
    bench.passUntil(bench.now + watchTimings.overdueMs);
    expect(bench.engine.state).toBe("live");
  });

  test("a quiet store that answers reads keeps its watch", () => {
    const bench = new Bench(10);
    bench.goLive(50);
    for (let round = 0; round < 20; round++) {
      bench.passUntil(bench.now + watchTimings.quietMs);
      bench.answer({ kind: "answered", revision: 50, newest: 9 });
    }
    expect(bench.engine.state).toBe("live");
    expect(bench.notices()).toEqual([]);
  });

  test("rebuilding turns stale when no member is found for long", () => {
    const bench = new Bench();
    bench.goLive();
    bench.fail();
    expect(bench.engine.state).toBe("rebuilding");
    bench.passUntil(bench.now + watchTimings.staleMs + 1);
    expect(bench.engine.state).toBe("stale");
    bench.reopened();
    bench.goLive();
  });
});
