// What one request of the soak does and what must come of it, drawn at random: who leaves when, what the upstream does
// wrong, and the one ending that is right.

import { assertNever, type Random } from "@meridian/proto/base";
import type { CallFault, CallScript, Script } from "./script.ts";

/** How the client behaves. Times are in milliseconds. */
export type Behaviour =
  | { readonly kind: "read" }
  /** The body comes in parts. */
  | { readonly kind: "upload-slowly" }
  /** Reading stops for a while. */
  | { readonly kind: "read-slowly"; readonly pauseMs: number }
  /** Leaves with half of its body sent. */
  | { readonly kind: "leave-in-upload"; readonly afterMs: number }
  /** Leaves while it waits for the first token, or for the whole answer. */
  | { readonly kind: "leave-before-answer"; readonly afterMs: number }
  | { readonly kind: "leave-after-tokens"; readonly tokens: number }
  /** Stops reading, and leaves without ever having read on. */
  | { readonly kind: "leave-while-paused"; readonly pauseMs: number };

/** Models of the soak's policy, each with what it allows. */
export const soakModels = ["soak-plain", "soak-hedged", "soak-continued"] as const;

export type Expected =
  /** Every token, and the protocol's end. */
  | "complete"
  /** The tokens until then, an error frame, and a cut connection. */
  | "broken"
  /** The client left: nothing that looks like an end. */
  | "left";

export type Plan = {
  readonly script: Script;
  readonly model: (typeof soakModels)[number];
  readonly stream: boolean;
  readonly asksUsage: boolean;
  readonly paddingBytes: number;
  readonly behaviour: Behaviour;
  readonly expected: Expected;
};

/** Shares of all requests. */
export const shares = { leave: 0.3, upstreamFault: 0.05, whole: 0.1, slow: 0.02 } as const;

/** Tokens of an ordinary answer. */
const tokens = { least: 10, range: 30 };
/** Between two tokens at full length, milliseconds. */
const pause = { least: 100, range: 200 };
/** Tokens of an answer for a slow reader: some megabytes, which is much of what the sockets between can hold. */
const largeTokens = { size: 32_768, everyMs: 5, read: 160, left: 4_000 };
/** What an upstream can get rid of while nobody reads: socket buffers of four ends, and little of the proxy's. */
export const unreadBytesMax = 33_554_432;

/**
 * The next request; `pace` multiplies the time between its tokens. Leaving clients and failing upstreams are never in the same one, so that the right ending is plain.
 */
export function drawPlan(id: string, random: Random, pace = 1): Plan {
  const plan = draw(id, random);
  const everyMs = Math.ceil(plan.script.everyMs * pace);
  return { ...plan, script: { ...plan.script, everyMs } };
}

function draw(id: string, random: Random): Plan {
  const lot = random.next();
  if (lot < shares.leave) return leaving(id, random);
  if (lot < shares.leave + shares.upstreamFault) return failing(id, random);
  if (lot < shares.leave + shares.upstreamFault + shares.slow) return slow(id, random);
  const stream = random.next() >= shares.whole;
  const kind = random.next() < 0.05 ? "upload-slowly" : "read";
  return { ...ordinary(id, random), stream, behaviour: { kind } };
}

function ordinary(id: string, random: Random): Plan {
  const model = soakModels[random.integer(soakModels.length)] ?? "soak-plain";
  const firstMs = 50 + random.integer(400);
  // On the hedged route some first calls are late, so that a second one is made and one of the two cancelled.
  const late = model === "soak-hedged" && random.next() < 0.1 ? 1_500 : 0;
  const script = scriptOf(id, random, [{ firstMs: firstMs + late, fault: undefined }]);
  return {
    script: late === 0 ? script : { ...script, calls: [...script.calls, call(firstMs)] },
    model,
    stream: true,
    asksUsage: random.next() < 0.3,
    paddingBytes: random.next() < 0.1 ? random.integer(200_000) : random.integer(2_000),
    behaviour: { kind: "read" },
    expected: "complete",
  };
}

function scriptOf(id: string, random: Random, calls: readonly CallScript[]): Script {
  return {
    id,
    tokens: tokens.least + random.integer(tokens.range),
    tokenSize: 12 + random.integer(20),
    everyMs: pause.least + random.integer(pause.range),
    promptTokens: 5 + random.integer(500),
    calls,
  };
}

function call(firstMs: number, fault?: CallFault): CallScript {
  return { firstMs, fault };
}

function leaving(id: string, random: Random): Plan {
  const base: Plan = { ...ordinary(id, random), expected: "left" };
  const kinds = [
    "leave-in-upload",
    "leave-before-answer",
    "leave-after-tokens",
    "leave-while-paused",
  ] as const;
  // A few clients stop reading; the others are spread evenly.
  const kind = kinds[random.next() < 0.05 ? 3 : random.integer(3)] ?? "leave-after-tokens";
  switch (kind) {
    case "leave-in-upload":
      return {
        ...base,
        paddingBytes: 1_000 + random.integer(200_000),
        behaviour: { kind, afterMs: random.integer(300) },
      };
    case "leave-before-answer": {
      const afterMs = 20 + random.integer(1_000);
      // The answer would begin long after: a moment's delay of the machine changes nothing.
      const script = { ...base.script, calls: [call(afterMs + 3_000)] };
      const stream = random.next() >= shares.whole;
      return { ...base, script, stream, behaviour: { kind, afterMs } };
    }
    case "leave-after-tokens": {
      // Many more would follow.
      const left = 1 + random.integer(base.script.tokens);
      const script = { ...base.script, tokens: left + 20 };
      return { ...base, script, behaviour: { kind, tokens: left } };
    }
    case "leave-while-paused":
      return {
        ...large(base, largeTokens.left),
        behaviour: { kind, pauseMs: 500 + random.integer(1_500) },
      };
    default:
      return assertNever(kind);
  }
}

function slow(id: string, random: Random): Plan {
  const base = large(ordinary(id, random), largeTokens.read);
  return { ...base, behaviour: { kind: "read-slowly", pauseMs: 500 + random.integer(2_500) } };
}

/** An answer that does not fit into what lies between upstream and client. */
function large(plan: Plan, count: number): Plan {
  const { size, everyMs } = largeTokens;
  return {
    ...plan,
    model: "soak-plain",
    script: { ...plan.script, tokens: count, tokenSize: size, everyMs },
  };
}

const faultKinds = ["reset", "end", "stall", "malformed", "error-frame", "status"] as const;

function failing(id: string, random: Random): Plan {
  const base = ordinary(id, random);
  const kind = faultKinds[random.integer(faultKinds.length)] ?? "reset";
  const isEarly = kind === "status" || random.next() < 0.5;
  const stream = random.next() >= shares.whole;
  const firstMs = base.script.calls[0]?.firstMs ?? 0;
  if (isEarly || !stream) {
    // Somebody else can answer: the client notices nothing.
    const calls = [call(firstMs, { kind, atToken: 0 })];
    return { ...base, stream, script: { ...base.script, calls } };
  }
  // On the hedged route the second call could have won, and nothing would have broken.
  const model = base.model === "soak-hedged" ? "soak-plain" : base.model;
  const atToken = 1 + random.integer(base.script.tokens);
  const calls = [call(firstMs, { kind, atToken })];
  const expected = model === "soak-continued" ? "complete" : "broken";
  return { ...base, model, expected, script: { ...base.script, calls } };
}
