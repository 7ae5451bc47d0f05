// A model server as proxies meet it over HTTP: the batch model of the kernel behind a door that faults can spoil.

import type { UpstreamFailure } from "@meridian/data-core/attempt";
import { upstreamFailure } from "@meridian/data-core/attempt";
import type { Instant, Random } from "@meridian/proto/base";
import type { Job, ModelServer, Sequence } from "../kernel/model-server.ts";
import type { Timeline } from "../kernel/timeline.ts";
import { SpokenAnswer } from "./spoken-answer.ts";

/** What is wrong with a server; all of it together is possible. Shares are of requests, 0 to 1. */
export type BackendFaults = {
  /** Its host answers, nothing listens. */
  isRefusing: boolean;
  /** Nothing answers, not even its host. */
  isSilent: boolean;
  /** Answers 500 at once. */
  errorShare: number;
  /** Ends its stream without the sign of the end. */
  truncateShare: number;
  /** Ends properly without a word. */
  emptyShare: number;
  /** Stops in the middle and says nothing more. */
  stallShare: number;
  /** Probes and canaries are answered well whatever happens to requests. */
  liesToProbes: boolean;
  /** Canaries, and only they, get a wrong answer with this chance. */
  wrongShare: number;
  /** Says of its queue what was true never: always empty. */
  hidesQueue: boolean;
};

export function noFaults(): BackendFaults {
  return {
    isRefusing: false,
    isSilent: false,
    errorShare: 0,
    truncateShare: 0,
    emptyShare: 0,
    stallShare: 0,
    liesToProbes: false,
    wrongShare: 0,
    hidesQueue: false,
  };
}

/** What became of a call, as it truly was, whatever the wire made of it. */
export type TrueEnding = "complete" | "empty" | "truncated" | "stalled" | "cut" | "left";

export type CallListener = {
  readonly connected: () => void;
  readonly firstToken: (hitTokens: number) => void;
  readonly complete: () => void;
  readonly failed: (failure: UpstreamFailure) => void;
};

/** One way between a proxy and a server of its region; the connection is warm. */
const hopMs = 0.3;

/** One request at a server. */
export class BackendCall {
  readonly backend: Backend;
  readonly job: Job;
  readonly #timeline: Timeline;
  readonly #listener: CallListener;
  #sequence: Sequence | undefined;
  #isOver = false;
  #stalledAt: Instant | undefined;
  ending: TrueEnding | undefined;

  /** What it says, byte for byte; undefined: this one is not spoken. */
  readonly words: SpokenAnswer | undefined;

  constructor(
    timeline: Timeline,
    backend: Backend,
    told: { readonly job: Job; readonly isSpoken: boolean },
    listener: CallListener,
  ) {
    this.#timeline = timeline;
    this.words = told.isSpoken ? new SpokenAnswer(backend.random) : undefined;
    this.backend = backend;
    this.job = told.job;
    this.#listener = listener;
  }

  start(): void {
    const { faults, isHostUp } = this.backend;
    if (!isHostUp || faults.isSilent) return;
    if (faults.isRefusing) {
      this.#later(2 * hopMs, () => this.#fail(upstreamFailure("connect", "refused")));
      return;
    }
    this.#listener.connected();
    this.#later(hopMs, () => this.#arrive());
  }

  /** The proxy is done with it. */
  cancel(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.ending ??= "left";
    const sequence = this.#sequence;
    if (sequence !== undefined) {
      this.#timeline.after(hopMs, () => this.backend.server.cancel(sequence));
    }
  }

  get outputTokens(): number {
    return this.#sequence === undefined ? 0 : this.backend.server.emitted(this.#sequence);
  }

  /** When it last sent a token, as far as it runs; undefined: it has sent none. */
  lastTokenAt(): Instant | undefined {
    if (this.#sequence === undefined || this.#sequence.emitted === 0) return undefined;
    return this.#stalledAt ?? this.#timeline.now;
  }

  #arrive(): void {
    const { faults, random, server } = this.backend;
    if (faults.errorShare > 0 && random.next() < faults.errorShare) {
      this.#later(hopMs, () =>
        this.#fail(upstreamFailure("status", "status 500", { status: 500 })),
      );
      return;
    }
    const draw = random.next();
    const { truncateShare, emptyShare, stallShare } = faults;
    const spoilt =
      draw < truncateShare
        ? "truncated"
        : draw < truncateShare + emptyShare
          ? "empty"
          : draw < truncateShare + emptyShare + stallShare
            ? "stalled"
            : "complete";
    // A stream that is cut or stalls does so half way.
    const isHalf = spoilt === "truncated" || spoilt === "stalled";
    const outputTokens = isHalf ? Math.ceil(this.job.outputTokens / 2) : this.job.outputTokens;
    this.#sequence = server.submit(
      { ...this.job, outputTokens },
      {
        onFirstToken: (_, hit) => {
          if (spoilt === "empty" || this.words?.begin() === false) return;
          this.#later(hopMs, () => this.#listener.firstToken(hit));
        },
        onEnd: (now, ending) => this.#ended(ending === "cut" ? "cut" : spoilt, now),
      },
    );
    if (this.#sequence === undefined) {
      const full = upstreamFailure("saturated", "full", { status: 503, retryAfterMs: 1_000 });
      this.#later(hopMs, () => this.#fail(full));
    }
  }

  #ended(ending: TrueEnding, now: Instant): void {
    if (this.#isOver) return;
    if (ending === "cut" && !this.backend.isHostUp) {
      // Nobody is left to say so.
      this.#stalledAt = now;
      this.ending = ending;
      return;
    }
    if (ending === "stalled") {
      this.#stalledAt = now;
      this.ending = ending;
      return;
    }
    this.ending = ending;
    // The codec's word, where there are words to read.
    const failure = this.words === undefined ? failureOf(ending) : this.words.end(ending);
    this.#later(hopMs, () => {
      if (failure === undefined) {
        this.#isOver = true;
        this.#listener.complete();
      } else this.#fail(failure);
    });
  }

  #fail(failure: UpstreamFailure): void {
    this.#isOver = true;
    this.#listener.failed(failure);
  }

  #later(ms: number, run: () => void): void {
    this.#timeline.after(ms, () => {
      if (!this.#isOver) run();
    });
  }
}

function failureOf(ending: TrueEnding): UpstreamFailure | undefined {
  switch (ending) {
    case "complete":
      return undefined;
    case "truncated":
      return upstreamFailure("truncated", "the answer ended without its sign");
    case "empty":
      return upstreamFailure("empty", "a proper end without any content");
    default:
      return upstreamFailure("reset", "the connection broke within the answer");
  }
}

export class Backend {
  readonly server: ModelServer;
  readonly random: Random;
  readonly faults = noFaults();
  /** Canaries inside. */
  canaries = 0;
  /** false: power or network of its host is gone. */
  isHostUp = true;

  constructor(server: ModelServer, random: Random) {
    this.server = server;
    this.random = random.fork(server.name);
  }

  /** The process dies, and its host says so. Others' calls are cut. */
  crash(): void {
    this.faults.isRefusing = true;
    this.server.crash();
  }

  recover(): void {
    this.isHostUp = true;
    this.faults.isRefusing = false;
    this.faults.isSilent = false;
  }

  /** Its host is gone, without a word. */
  vanish(): void {
    this.isHostUp = false;
    this.server.crash();
  }

  /** The cheap probe. undefined: no answer at all. */
  answersProbe(): boolean | undefined {
    if (!this.isHostUp || this.faults.isSilent) return undefined;
    return !this.faults.isRefusing;
  }
}
