// What a data server is given.

import type { Engine, Outcome, ShadowSkip } from "@meridian/data-core/engine";
import type { Clock, Random } from "@meridian/proto/base";
import type { PeerTls } from "../upstream/upstreams.ts";

export type DataServerOptions = {
  readonly engine: Engine;
  readonly random: Random;
  readonly clock: Clock;
  readonly settings: DataServerSettings;
  /** Undefined: no hop to or from other regions. */
  readonly peerTls: PeerTls | undefined;
  readonly logger: RequestLogger;
  readonly metrics: RequestMetrics;
  readonly decisions: DecisionLog;
};

export type DataServerSettings = {
  readonly region: string;
  /** Name of this proxy. */
  readonly id: string;
  readonly bodyBytesMax: number;
  /** How long a request may take to come, head and body; default 120 s. */
  readonly uploadMs?: number;
  /** host:port of a peer in the policy → host:port where it is reached from here. */
  readonly peerVia?: ReadonlyMap<string, string>;
};

/** The part of pino that the request path uses. */
export type RequestLogger = {
  readonly debug: (fields: object, message: string) => void;
  readonly info: (fields: object, message: string) => void;
  readonly warn: (fields: object, message: string) => void;
  readonly error: (fields: object, message: string) => void;
};

/** Told once per request, on every ending. */
export type RequestMetrics = {
  readonly finished: (exchange: FinishedExchange) => void;
  /** Copies for models that are tried out are counted by themselves: no client has asked for them. */
  readonly shadowed: (shadow: FinishedShadow) => void;
  readonly shadowSkipped: (skipped: SkippedShadow) => void;
};

export type SkippedShadow = {
  readonly route: string;
  readonly model: string;
  readonly reason: ShadowSkip;
};

export type FinishedShadow = {
  readonly route: string;
  readonly model: string;
  /** `cut`: it was in a client's way, too long, or the proxy stopped. */
  readonly outcome: "complete" | "rejected" | "failed" | "cut";
  readonly firstTokenMs: number | undefined;
};

/** Keeps the record of each request, so that it can be explained later. Told once per request, on every ending. */
export type DecisionLog = { readonly record: (exchange: FinishedExchange) => void };

export type FinishedExchange = {
  readonly requestId: string;
  /** Made by this proxy, unlike the request's id, which may be the client's: the answer's x-meridian-decision. */
  readonly decisionId: string;
  /** Wall clock at its arrival, milliseconds since 1970. */
  readonly arrivedAtMs: number;
  /** Version of the policy in force at its end. */
  readonly revision: string;
  /** Time of our own in milliseconds: neither waiting for a place, nor for an upstream, nor for the client's body. */
  readonly ownMs: number;
  /** How long it was held for a place, in milliseconds. */
  readonly heldMs: number;
  readonly kind: string;
  readonly tenant: string;
  /** The model as the policy knows it, or "unknown": never free text of a client. */
  readonly model: string;
  readonly stream: boolean;
  /** Status sent to the client; 499 when it left before. */
  readonly status: number;
  /** complete, rejected, refused, broken, client-gone. */
  readonly ending: string;
  /** Region whose backend answered; empty when none did. */
  readonly region: string;
  readonly arrivedFrom: string | undefined;
  readonly durationMs: number;
  readonly firstTokenMs: number | undefined;
  /** Status and code of the refusal or of the error frame; undefined when there was none. */
  readonly errorCode: string | undefined;
  /** The model that a copy of it went to; "": to none. */
  readonly shadow: string;
  /** Undefined when the request was refused before any attempt. */
  readonly outcome: Outcome | undefined;
};
