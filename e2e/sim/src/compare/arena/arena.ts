// Where policies compete: clients with sessions, regions with model servers and load balancers, delays between them.
// A policy gets every request at a load balancer and must push it to one replica, once.

import { assert, type Instant, type Random, seededRandom } from "@meridian/proto/base";
import { ModelServer, type ServerSize } from "../../kernel/model-server.ts";
import { Timeline } from "../../kernel/timeline.ts";
import type { Session, Step } from "../workloads/work.ts";

/** Regions, what stands in each, and how far they are from each other. */
export type Layout = {
  /** Replicas in each region. */
  readonly replicas: readonly number[];
  /** Round trips between regions, by place. */
  readonly rttMs: readonly (readonly number[])[];
  readonly size: ServerSize;
};

export type Replica = {
  readonly place: number;
  readonly region: number;
  readonly server: ModelServer;
};

/** A request on its way. Instants are the client's own; NaN: not yet. */
export type Ask = {
  readonly id: number;
  readonly session: Session;
  /** Place of its session in the workload: who asks. */
  readonly client: number;
  readonly step: Step;
  /** Place of the step in its session. */
  readonly place: number;
  readonly askedAt: Instant;
  /** One way from the client to where it is now: as long as the answer needs to come back. */
  awayMs: number;
  replica: Replica | undefined;
  pushes: number;
  hitTokens: number;
  firstAt: Instant;
  endedAt: Instant;
};

/** What a load balancer is told of a push of its own, when the answer passes there. */
export type PushListener = {
  readonly first?: () => void;
  readonly ended: () => void;
};

/** A policy at work in one arena. */
export type Dispatcher = {
  /** A client's request is at its load balancer. */
  readonly arrive: (ask: Ask) => void;
};

export type Policy = {
  readonly name: string;
  /** Where the one load balancer stands that everybody uses; undefined: every region has its own. */
  readonly central?: number;
  readonly start: (arena: Arena) => Dispatcher;
};

/** One way within a region. */
const nearMs = 0.25;

export type Run = {
  readonly seed: string;
  /** Nobody asks after it. */
  readonly endAt: Instant;
  /** When a first token is late. */
  readonly objectiveMs: number;
};

export class Arena {
  readonly timeline = new Timeline();
  readonly random: Random;
  readonly layout: Layout;
  readonly objectiveMs: number;
  readonly replicas: readonly Replica[];
  /** Replicas by region. */
  readonly local: readonly (readonly Replica[])[];
  /** All that were asked, in order. */
  readonly asks: Ask[] = [];
  readonly #central: number | undefined;
  readonly #dispatcher: Dispatcher;
  readonly #run: Run;

  constructor(layout: Layout, policy: Policy, run: Run) {
    this.layout = layout;
    this.random = seededRandom(run.seed);
    this.#run = run;
    this.objectiveMs = run.objectiveMs;
    this.#central = policy.central;
    const regions = layout.replicas.flatMap((count, region) => Array<number>(count).fill(region));
    this.replicas = regions.map((region, place) => {
      const named = { name: `replica-${place}`, region: `region-${region}` };
      return { place, region, server: new ModelServer(this.timeline, named, layout.size) };
    });
    this.local = layout.replicas.map((_, region) =>
      this.replicas.filter((each) => each.region === region),
    );
    this.#dispatcher = policy.start(this);
  }

  /** One way between load balancers, or from one to a replica. */
  oneWayMs(from: number, to: number): number {
    return from === to ? nearMs : (this.layout.rttMs[from]?.[to] ?? 0) / 2;
  }

  /** Lets sessions' clients ask, each request when those before it are answered, and runs to an instant. */
  run(sessions: readonly Session[], until: Instant): void {
    for (const [client, session] of sessions.entries()) {
      this.#follow({ session, client }, -1, session.atMs);
    }
    this.timeline.runUntil(until);
  }

  /** Sends a request from a load balancer to a replica: once for each request. */
  push(ask: Ask, replica: Replica, from: number, listener: PushListener): void {
    const pathMs = this.oneWayMs(from, replica.region);
    ask.awayMs += pathMs;
    ask.pushes += 1;
    ask.replica = replica;
    const { blocks, blocksAfter, promptTokens, outputTokens } = ask.step;
    const job = { blocks, blocksAfter, inputTokens: promptTokens, outputTokens };
    const { timeline } = this;
    timeline.after(pathMs, () => {
      const sequence = replica.server.submit(job, {
        onFirstToken: (now, hitTokens) => {
          ask.hitTokens = hitTokens;
          ask.firstAt = now + ask.awayMs;
          if (listener.first !== undefined) timeline.after(pathMs, listener.first);
        },
        onEnd: (now) => {
          ask.endedAt = now + ask.awayMs;
          timeline.after(pathMs, listener.ended);
          timeline.after(ask.awayMs, () => this.#follow(ask, ask.place, timeline.now));
        },
      });
      assert(sequence !== undefined, "a server of a comparison refuses nobody");
    });
  }

  /** Those requests of a session that come after a step's answer; after -1: those that come first. */
  #follow(asker: Asker, after: number, from: Instant): void {
    asker.session.steps.forEach((step, place) => {
      const at = from + step.thinkMs;
      if (step.after !== after || at > this.#run.endAt) return;
      this.timeline.at(at, () => this.#ask(asker, step, place));
    });
  }

  #ask({ session, client }: Asker, step: Step, place: number): void {
    const { region } = session;
    const central = this.#central ?? region;
    const awayMs = this.oneWayMs(region, central);
    const ask: Ask = {
      id: this.asks.length,
      session,
      client,
      step,
      place,
      askedAt: this.timeline.now,
      awayMs,
      replica: undefined,
      pushes: 0,
      hitTokens: 0,
      firstAt: Number.NaN,
      endedAt: Number.NaN,
    };
    this.asks.push(ask);
    this.timeline.after(awayMs, () => this.#dispatcher.arrive(ask));
  }
}

type Asker = { readonly session: Session; readonly client: number };
