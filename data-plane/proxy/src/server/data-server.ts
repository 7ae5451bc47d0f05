// The request path as one thing to start and stop: the clients' server, the other regions' server, the pools behind.

import type { Engine, EngineReport, Outcome } from "@meridian/data-core/engine";
import { AssertionError, type Clock, type Random } from "@meridian/proto/base";
import type { FastifyInstance } from "fastify";

export type DataServerOptions = {
  readonly engine: Engine;
  readonly random: Random;
  readonly clock: Clock;
  readonly settings: DataServerSettings;
  /** Undefined: no hop to or from other regions. */
  readonly peerTls: PeerTls | undefined;
  readonly logger: RequestLogger;
  readonly metrics: RequestMetrics;
};

export type DataServerSettings = {
  readonly region: string;
  /** Name of this proxy. */
  readonly id: string;
  readonly bodyBytesMax: number;
};

/** PEM. One identity serves as client to other regions' proxies and as server towards them. */
export type PeerTls = { readonly ca: Buffer; readonly cert: Buffer; readonly key: Buffer };

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
};

export type FinishedExchange = {
  readonly requestId: string;
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
  /** Undefined when the request was refused before any attempt. */
  readonly outcome: Outcome | undefined;
};

export type DataServer = {
  /** For clients; plain HTTP/1.1. The caller calls `listen`. */
  readonly clientApp: FastifyInstance;
  /** For other regions' proxies; mutual TLS, role proxy. Undefined without `peerTls`. The caller calls `listen`. */
  readonly peerApp: FastifyInstance | undefined;
  /** Call after each snapshot that the engine took: opens and closes pools. */
  readonly refreshUpstreams: () => void;
  /** Refuses new requests with a retryable 503; resolves when the last live request has ended. */
  readonly beginDrain: () => Promise<void>;
  readonly stats: () => DataServerStats;
  /** Ends everything at once: live requests, servers, pools. */
  readonly close: () => Promise<void>;
};

export type DataServerStats = {
  readonly live: number;
  readonly total: number;
  readonly draining: boolean;
  readonly report: EngineReport;
};

export function createDataServer(_options: DataServerOptions): DataServer {
  throw new AssertionError("not built yet");
}
