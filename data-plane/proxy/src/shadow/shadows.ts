// Copies of requests for models that are tried out, beside serving: they begin after the request's own first call, and
// end as soon as a client has to wait.

import type { Engine, RequestFacts } from "@meridian/data-core/engine";
import type { DecodedRequest } from "@meridian/wire";
import type { RequestMetrics } from "../server/data-server-options.ts";
import { ShadowCopy, type ShadowParts } from "./shadow-copy.ts";

export type ShadowsParts = ShadowParts & {
  readonly engine: Pick<Engine, "shadow">;
  readonly metrics: Pick<RequestMetrics, "shadowed" | "shadowSkipped">;
};

/** The part of an exchange that is read, and where the copy is noted. */
export type ShadowedExchange = {
  readonly facts: RequestFacts | undefined;
  readonly decoded: DecodedRequest | undefined;
  readonly text: string;
  readonly route: string;
  readonly arrival: { readonly requestId: string };
  /** The model that a copy goes to; "": to none. */
  shadow: string;
};

export class Shadows {
  readonly #parts: ShadowsParts;
  readonly #live = new Set<ShadowCopy>();
  #isClosed = false;

  constructor(parts: ShadowsParts) {
    this.#parts = parts;
  }

  /** Once for each request whose own first call is on its way. */
  offer(exchange: ShadowedExchange): void {
    const { facts, decoded, route, text } = exchange;
    if (this.#isClosed || facts === undefined || decoded === undefined) return;
    const { clock, engine, metrics } = this.#parts;
    const shadow = engine.shadow(facts, clock.now());
    if (shadow.kind === "none") return;
    const { model } = shadow;
    if (shadow.kind === "skipped") {
      metrics.shadowSkipped({ route, model, reason: shadow.reason });
      return;
    }
    exchange.shadow = model;
    const request = { requestId: exchange.arrival.requestId, decoded, text };
    const copy = new ShadowCopy(this.#parts, { attempts: shadow.attempts, request }, (end) => {
      this.#live.delete(copy);
      const { outcome, firstTokenMs, usage } = end;
      shadow.end(usage, clock.now());
      metrics.shadowed({ route, model, outcome, firstTokenMs });
    });
    this.#live.add(copy);
    // The request's own call is written first.
    setImmediate(() => copy.start());
  }

  /** A client has to wait for a place: all copies of this thread make room. */
  yieldRoom(): void {
    for (const copy of [...this.#live]) copy.cut();
  }

  close(): void {
    this.#isClosed = true;
    this.yieldRoom();
  }
}
