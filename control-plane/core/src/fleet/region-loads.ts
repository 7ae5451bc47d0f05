// What the proxies that report here say of demand and of work, pooled by region: what own clients ask of each model, and
// what each backend was seen to bear. Bounded by the policy. Pure: `now` is an argument.

import type { Instant } from "@meridian/proto/base";
import type { Policy } from "@meridian/proto/gen/policy_pb";
import { BackendCapacity } from "./backend-capacity.ts";
import { FadingRate } from "./fading-rate.ts";

/** One second of one proxy; a ReportFrame has this form. */
export type LoadReport = {
  readonly backends: readonly {
    readonly name: string;
    readonly inFlight: number;
    readonly timed: number;
    readonly slow: number;
    readonly doneTokens: number;
    readonly waiting?: number | undefined;
  }[];
  readonly pools: readonly {
    readonly model: string;
    readonly requests: number;
    readonly tokens: number;
    readonly held: number;
    readonly sentAway: number;
  }[];
};

/** What a backend can bear, in tokens a second. */
export type KnownCapacity = {
  readonly tokens: number;
  /** declared: the policy says so. measured: it was seen to bear it. */
  readonly source: "declared" | "measured";
};

/** What own clients ask of one model, over about ten seconds. */
export type ModelDemand = {
  /** Tokens a second. */
  readonly tokens: number;
  /** Of the requests that ended: the part that another region was asked for, 0 to 1. */
  readonly awayShare: number;
};

type Rates = {
  readonly requests: FadingRate;
  readonly tokens: FadingRate;
  readonly away: FadingRate;
};

type Backend = {
  readonly region: string;
  readonly models: readonly string[];
  readonly declared: number;
  readonly seen: BackendCapacity;
};

const nothing: ModelDemand = { tokens: 0, awayShare: 0 };

/** @example loads.arrange(policy); loads.take("eu-west", frame, now); loads.capacity("eu-a", now) */
export class RegionLoads {
  #backends = new Map<string, Backend>();
  #models: ReadonlySet<string> = new Set();
  #regions: ReadonlySet<string> = new Set();
  /** By region and model. */
  readonly #rates = new Map<string, Rates>();

  /** A policy came into force. What was seen of backends that stay is kept. */
  arrange(policy: Policy): void {
    const former = this.#backends;
    this.#backends = new Map(
      policy.backends.map(({ name, region, serves, capacity }) => {
        const known = former.get(name);
        return [
          name,
          {
            region,
            models: serves.map((each) => each.model),
            declared: (capacity?.tokensPerMinute ?? 0) / 60,
            seen: known?.region === region ? known.seen : new BackendCapacity(),
          },
        ];
      }),
    );
    this.#models = new Set([
      ...policy.models.map((each) => each.name),
      ...policy.backends.flatMap((each) => each.serves.map(({ model }) => model)),
    ]);
    this.#regions = new Set(policy.regions.map((each) => each.name));
    for (const key of this.#rates.keys()) {
      const [region = "", model = ""] = key.split("\n");
      if (!this.#regions.has(region) || !this.#models.has(model)) this.#rates.delete(key);
    }
  }

  /** Adds one second of one proxy of a region, by its certificate. */
  take(region: string, report: LoadReport, now: Instant): void {
    if (!this.#regions.has(region)) return;
    const held = new Set<string>();
    for (const { model, requests, tokens, sentAway, held: waiting } of report.pools) {
      if (!this.#models.has(model)) continue;
      if (waiting > 0) held.add(model);
      const rates = this.#ratesOf(region, model);
      rates.requests.add(requests, now);
      rates.tokens.add(tokens, now);
      rates.away.add(sentAway, now);
    }
    for (const each of report.backends) {
      const backend = this.#backends.get(each.name);
      if (backend?.region !== region) continue;
      const { doneTokens: tokens, timed, slow, inFlight, waiting = 0 } = each;
      // Nobody is held while one of the model's backends has a place.
      const isFull =
        waiting > 0 || (inFlight > 0 && backend.models.some((model) => held.has(model)));
      backend.seen.note({ tokens, timed, slow, isBusy: inFlight > 0 || tokens > 0, isFull }, now);
    }
  }

  /** undefined: the policy does not say, and it was not at its limit lately. */
  capacity(name: string, now: Instant): KnownCapacity | undefined {
    const backend = this.#backends.get(name);
    if (backend === undefined) return undefined;
    if (backend.declared > 0) return { tokens: backend.declared, source: "declared" };
    const tokens = backend.seen.tokensPerSecond(now);
    return tokens === undefined ? undefined : { tokens, source: "measured" };
  }

  demand(region: string, model: string, now: Instant): ModelDemand {
    const rates = this.#rates.get(`${region}\n${model}`);
    if (rates === undefined) return nothing;
    const requests = rates.requests.perSecond(now);
    const away = rates.away.perSecond(now);
    return {
      tokens: rates.tokens.perSecond(now),
      awayShare: requests > 0 ? Math.min(1, away / requests) : 0,
    };
  }

  #ratesOf(region: string, model: string): Rates {
    const key = `${region}\n${model}`;
    const known = this.#rates.get(key);
    if (known !== undefined) return known;
    const rates = { requests: new FadingRate(), tokens: new FadingRate(), away: new FadingRate() };
    this.#rates.set(key, rates);
    return rates;
  }
}
