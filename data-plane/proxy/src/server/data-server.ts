// The request path as one thing to start and stop: the clients' server, the other regions' server, the pools behind.

import { setTimeout } from "node:timers/promises";
import type { EngineReport } from "@meridian/data-core/engine";
import { type ClientError, openai } from "@meridian/wire";
import type { FastifyInstance } from "fastify";
import { resume } from "../pipeline.ts";
import { Shadows } from "../shadow/shadows.ts";
import { Upstreams } from "../upstream/upstreams.ts";
import type { ServerContext } from "./context.ts";
import type { DataServerOptions } from "./data-server-options.ts";
import { Deadlines } from "./deadlines.ts";
import type { Exchange } from "./exchange.ts";
import { HeldExchanges } from "./held-exchanges.ts";
import { closeIdle, createClientApp, createPeerApp, refuseExchange } from "./http-app.ts";

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

export function createDataServer(options: DataServerOptions): DataServer {
  const server = new RunningServer(options);
  const clientApp = createClientApp(server.context);
  const { peerTls } = options;
  const peerApp = peerTls === undefined ? undefined : createPeerApp(server.context, peerTls);
  return {
    clientApp,
    peerApp,
    refreshUpstreams: () => server.refreshUpstreams(),
    beginDrain: () => {
      const drained = server.beginDrain();
      closeIdle(clientApp);
      closeIdle(peerApp);
      return drained;
    },
    stats: () => server.stats(),
    close: async () => {
      await server.breakOffLive();
      server.stop();
      clientApp.server.closeAllConnections();
      peerApp?.server.closeAllConnections();
      await Promise.all([clientApp.close(), peerApp?.close(), server.context.upstreams.close()]);
    },
  };
}

/** How long clients have to take the last frame of an answer that is broken off. */
const breakOffMs = 500;

class RunningServer {
  readonly context: ServerContext;
  #draining = false;
  #live = 0;
  #total = 0;
  #ids = 0;
  readonly #idPrefix: string;
  readonly #drained: (() => void)[] = [];

  constructor(options: DataServerOptions) {
    const { engine, clock, settings, logger, metrics, random } = options;
    const ids = random.fork("request ids");
    this.#idPrefix = `req_${ids.integer(2 ** 32).toString(36)}${ids.integer(2 ** 32).toString(36)}`;
    const upstreams = new Upstreams(options.peerTls, settings.peerVia);
    const deadlines = new Deadlines(clock);
    const held = new HeldExchanges(engine, () => shadows.yieldRoom());
    const freed = () => held.wake();
    const protocol = openai;
    const sending = { clock, protocol, upstreams, deadlines };
    const shadows = new Shadows({ ...sending, engine, metrics, freed });
    this.context = {
      ...sending,
      engine,
      settings,
      logger,
      metrics,
      decisions: options.decisions,
      held,
      shadows,
      isDraining: () => this.#draining,
      newRequestId: () => `${this.#idPrefix}${(++this.#ids).toString(36).padStart(6, "0")}`,
      resume,
      refuse: (exchange, error) => this.#refuse(exchange, error),
      opened: () => {
        this.#live += 1;
      },
      settled: () => this.#settled(),
    };
  }

  refreshUpstreams(): void {
    this.context.upstreams.refresh(this.context.engine.serving()?.upstreams ?? []);
  }

  beginDrain(): Promise<void> {
    this.#draining = true;
    if (this.#live === 0) return Promise.resolve();
    return new Promise((resolve) => this.#drained.push(resolve));
  }

  /** Requests that still live get an honest end, and a moment to take it. */
  async breakOffLive(): Promise<void> {
    const drained = this.beginDrain();
    this.context.deadlines.stopAll();
    const over = new AbortController();
    const moment = setTimeout(breakOffMs, undefined, { signal: over.signal, ref: false });
    await Promise.race([drained, moment.catch(() => undefined)]);
    over.abort();
  }

  stop(): void {
    this.#draining = true;
    this.context.shadows.close();
    this.context.deadlines.close();
  }

  stats(): DataServerStats {
    const { clock, engine } = this.context;
    return {
      live: this.#live,
      total: this.#total,
      draining: this.#draining,
      report: engine.report(clock.now()),
    };
  }

  #settled(): void {
    this.#total += 1;
    this.#live -= 1;
    if (this.#live > 0) return;
    for (const resolve of this.#drained.splice(0)) resolve();
  }

  /** Towards another region every refusal says "not this region now"; clients get the reason as it is. */
  #refuse(exchange: Exchange, error: ClientError): void {
    refuseExchange(exchange, error, this.#refusalWord(exchange, error));
  }

  #refusalWord(exchange: Exchange, error: ClientError): string {
    if (exchange.arrival.arrivedFrom === undefined) return "";
    if (this.#draining) return "draining";
    if (exchange.queueMs !== undefined) return "full";
    switch (error.class) {
      case "rate-limited":
        return "full";
      case "overloaded":
      case "model-not-found":
      case "permission":
        return "no-backend";
      default:
        return "";
    }
  }
}
