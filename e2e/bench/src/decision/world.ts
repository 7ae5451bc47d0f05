// A region's engine as it stands in the middle of a day: three regions with many backends each, calls under way, queues
// and buckets known, prompts learned, the other regions' state fresh. Decisions are timed in it, one after the other.

import type { Attempts } from "@meridian/data-core/attempt";
import {
  createEngine,
  type Engine,
  ownCallKnowledge,
  type RequestFacts,
} from "@meridian/data-core/engine";
import { ownLoad } from "@meridian/data-core/load";
import { seededRandom } from "@meridian/proto/base";
import { fixtureFrame, fixtureSnapshot } from "@meridian/proto/fixture";
import type { Balance } from "@meridian/proto/snapshot";

export type WorldOptions = {
  readonly balance: Balance;
  /** In each of the three regions. */
  readonly backends: number;
  /** Every model server of the own region has a queue. */
  readonly isFull: boolean;
};

const regions = ["eu", "us", "ap"] as const;
const callsPerBackend = 16;
const conversations = 4_096;
/** Sixteen blocks of about 256 tokens. */
const promptBlocks = 16;

/** Requests of conversations, each with the beginning that its last turn had; times are the world's own. */
export class World {
  readonly #engine: Engine;
  readonly #facts: readonly RequestFacts[];
  readonly #live: (Attempts | undefined)[];
  readonly #random = seededRandom("world");
  readonly #isFull: boolean;
  #turn = 0;
  #now = 1_000;

  constructor({ balance, backends, isFull }: WorldOptions) {
    this.#isFull = isFull;
    const load = ownLoad();
    const calls = ownCallKnowledge(load.table.slots);
    this.#engine = createEngine({ region: "eu", random: this.#random.fork("engine"), load, calls });
    const snapshot = fixtureSnapshot("eu", policy(balance, backends));
    if (this.#engine.apply({ kind: "snapshot", snapshot }, 0).kind === "err") {
      throw new Error("the world's policy is refused");
    }
    this.#engine.apply({ kind: "state", frame: frame(backends) }, this.#now);
    for (const { kind, slot } of this.#engine.serving()?.upstreams ?? []) {
      // It stays what it is: no time passes here for which it would get old.
      if (kind === "backend") {
        const waiting = isFull ? 2 : 0;
        calls.engines.note(slot, { waiting, running: 16, kvUse: 0.7 }, this.#now);
      }
    }
    // A proxy reads prompts where a route goes by them.
    const reads = this.#engine.serving()?.readsPrefix === true;
    const { next } = this.#random;
    const systems = Array.from({ length: 50 }, () => blocks(4, next));
    this.#facts = Array.from({ length: conversations }, (_, each) =>
      facts(each, reads ? [...(systems[each % 50] ?? []), ...blocks(promptBlocks - 4, next)] : []),
    );
    this.#live = new Array(isFull ? 1 : backends * callsPerBackend).fill(undefined);
    for (let call = 0; call < this.#live.length * 2; call++) this.decide();
  }

  /** Microseconds that one decision takes: from the decoded request to the backend that is to be called. */
  decide(): number {
    const request = this.#facts[this.#random.integer(conversations)];
    if (request === undefined) return Number.NaN;
    this.#turn = (this.#turn + 1) % this.#live.length;
    const oldest = this.#live[this.#turn];
    this.#now += 0.01;
    oldest?.step({ kind: "client-gone" }, this.#now);
    const startedAt = performance.now();
    const attempts = this.#engine.begin(request, this.#now);
    const commands = attempts.step({ kind: "start" }, this.#now);
    const tookMs = performance.now() - startedAt;
    const { kind } = commands[0] ?? { kind: "none" };
    const isGood = kind === "call" || (this.#isFull && kind === "hold");
    if (!isGood) throw new Error(`a decision ended in ${kind}`);
    this.#live[this.#turn] = attempts;
    return tookMs * 1_000;
  }
}

function facts(each: number, prefix: readonly number[]): RequestFacts {
  return {
    requestId: `r${each}`,
    tenant: "anonymous",
    kind: "chat",
    model: "big",
    stream: true,
    inputTokens: promptBlocks * 256,
    outputTokensMax: 300,
    arrivedFrom: undefined,
    timeoutMs: undefined,
    continuable: false,
    isContinuation: false,
    protocol: "openai",
    path: "/v1/chat/completions",
    headers: {},
    prefix,
  };
}

function blocks(count: number, next: () => number): readonly number[] {
  return Array.from({ length: count }, () => Math.floor(next() * 2 ** 32));
}

function policy(balance: Balance, backends: number) {
  return {
    regions: regions.map((name, place) => ({
      name,
      location: { lat: 20 * place, lon: 60 * place },
      peers: [`10.0.${place}.1:8443`, `10.0.${place}.2:8443`],
    })),
    backends: regions.flatMap((region) =>
      Array.from({ length: backends }, (_, place) => ({
        name: `${region}-${place}`,
        region,
        url: `http://${region}-${place}.internal:8000`,
        serves: [{ model: "big" }],
        capacity: { concurrency: 256, requestsPerMinute: 1e7, tokensPerMinute: 4e9 },
      })),
    ),
    models: [{ name: "big" }],
    routes: [
      {
        name: "all",
        match: { models: ["*"] },
        balance,
        objective: { firstTokenMs: 500 },
        fallback: ["local-queue", "remote"],
      },
    ],
  };
}

function frame(backends: number) {
  const pools = [
    {
      model: "big",
      backends,
      available: backends,
      capacityTokens: backends * 20_000,
      demandTokens: backends * 15_000,
      pendingTokens: backends * 4_000,
    },
  ];
  return fixtureFrame({
    regions: regions.map((name) => ({ name, ageMs: 400, pools })),
    backends: Array.from({ length: backends }, (_, place) => ({
      name: `eu-${place}`,
      verdict: "healthy",
      share: 1_000,
    })),
  });
}
