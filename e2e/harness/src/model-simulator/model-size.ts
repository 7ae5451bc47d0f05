// How fast a simulated model is, and how that is written on the command line.

import { err, ok, type Result } from "@meridian/proto/base";

/** The timing of one model on one server. Times are of the simulated server, before any speed factor. */
export type ModelSize = {
  /** Prefill, per prompt token that no cache holds. */
  readonly prefillMsPerToken: number;
  /** One decode step of an empty batch (d0). */
  readonly decodeMs: number;
  /** Added to a step by each sequence in the batch (d1). */
  readonly decodeMsPerSequence: number;
  /** Sequences that run at once. */
  readonly slots: number;
  /** Sequences that may wait; beyond it a request is refused. */
  readonly queueMax: number;
  /** Tokens that the key-value cache holds for running sequences. */
  readonly kvTokensMax: number;
  /** 256-token blocks that the prefix cache keeps. */
  readonly cacheBlocksMax: number;
  /** Every token is said so much later, whatever the load: what lies between model and client. */
  readonly latencyMs: number;
};

export type ModelSpec = {
  readonly name: string;
  readonly size: ModelSize;
  /** An embedding model answers embeddings and nothing else. */
  readonly use: "generate" | "embed";
};

/** Roughly a 70-billion model on eight cards, an 8-billion model on one, and an embedding model. */
export const presets = {
  large: {
    prefillMsPerToken: 0.2,
    decodeMs: 24,
    decodeMsPerSequence: 0.4,
    slots: 64,
    queueMax: 512,
    kvTokensMax: 400_000,
    cacheBlocksMax: 2_000,
    latencyMs: 0,
  },
  small: {
    prefillMsPerToken: 0.03,
    decodeMs: 7,
    decodeMsPerSequence: 0.1,
    slots: 128,
    queueMax: 1_024,
    kvTokensMax: 800_000,
    cacheBlocksMax: 4_000,
    latencyMs: 0,
  },
  embed: {
    prefillMsPerToken: 0.01,
    decodeMs: 1,
    decodeMsPerSequence: 0,
    slots: 128,
    queueMax: 1_024,
    kvTokensMax: 800_000,
    cacheBlocksMax: 1,
    latencyMs: 0,
  },
} as const satisfies { readonly [name: string]: ModelSize };

/**
 * `NAME:PRESET` or `NAME:prefillMsPerToken:decodeMs[:decodeMsPerSequence[:slots[:queueMax[:latencyMs]]]]`.
 *
 * @example parseModelSpec("sim-large:large"); parseModelSpec("tiny:0.01:2:0:4:8")
 */
export function parseModelSpec(text: string): Result<ModelSpec, string> {
  const [name = "", first = "", ...rest] = text.split(":");
  if (name === "" || first === "") return err(`${text}: expected NAME:PRESET or NAME:ms:ms`);
  if (isPreset(first) && rest.length === 0) {
    return ok({ name, size: presets[first], use: first === "embed" ? "embed" : "generate" });
  }
  const numbers = [first, ...rest].map(Number);
  const valid = numbers.every((each) => Number.isFinite(each) && each >= 0) && numbers.length <= 6;
  const [prefillMsPerToken, decodeMs, decodeMsPerSequence = 0, ...limits] = numbers;
  const [slots = 64, queueMax = 512, latencyMs = 0] = limits;
  if (!valid || prefillMsPerToken === undefined || decodeMs === undefined) {
    const known = Object.keys(presets).join(", ");
    return err(`${text}: expected a preset (${known}) or two to six numbers of at least 0`);
  }
  const size = {
    ...presets.small,
    prefillMsPerToken,
    decodeMs,
    decodeMsPerSequence,
    latencyMs,
  };
  return ok({ name, size: { ...size, slots: Math.max(1, slots), queueMax }, use: "generate" });
}

function isPreset(name: string): name is keyof typeof presets {
  return Object.hasOwn(presets, name);
}
