// What the bench and its programs tell each other over their IPC channels.

import type { BodyKind } from "./workload.ts";

/** Where requests go. */
export type Target = {
  readonly port: number;
  readonly path: string;
  readonly headers: { readonly [name: string]: string };
  /** "exact": the upstream's bytes; "content": rewritten, but with the request's own nonce, all tokens and the end. */
  readonly check: "exact" | "content";
};

export type LoadRun = {
  readonly kind: "run";
  readonly target: Target;
  readonly body: BodyKind;
  readonly connections: number;
  readonly durationMs: number;
  /** A connection waits up to so long before its next request, so that streams do not begin all at once. */
  readonly pauseMsMax: number;
};

/** Streams that stay open until the upstream is told to end them. */
export type HoldStreams = {
  readonly kind: "hold";
  readonly target: Target;
  readonly streams: number;
};

export type ToLoad = LoadRun | HoldStreams | { readonly kind: "await-ends" };

export type Quantiles = { readonly p50: number; readonly p99: number };

export type LoadResult = {
  readonly kind: "result";
  /** All answers, the last ones after the end of the run included. */
  readonly answers: number;
  readonly perSecond: number;
  readonly latencyMs: Quantiles;
  readonly firstTokenMs: Quantiles;
  /** Share of the run in which the generator's process was computing. */
  readonly ownBusy: number;
  /** What was wrong with answers; anything here voids the run. */
  readonly failures: readonly string[];
};

export type FromLoad =
  | LoadResult
  | { readonly kind: "holding"; readonly failures: readonly string[] }
  | { readonly kind: "ended"; readonly failures: readonly string[] };

export type ToUpstream =
  | { readonly kind: "listen"; readonly ports: number }
  /** Time between two tokens of a stream; endless streams go on until paced again. */
  | { readonly kind: "pace"; readonly intervalMs: number; readonly isEndless: boolean };

export type FromUpstream =
  | { readonly kind: "listening"; readonly ports: readonly number[] }
  | { readonly kind: "paced" };

export type FromForwarder = { readonly kind: "listening"; readonly port: number };
