// One watch on etcd that neither loses nor repeats an event, whatever happens to streams and members.
//
// It resumes from the last event's revision (a batch's header carries the store's present one: resuming from that is
// how events get lost), hands on whole revisions only, and believes reads, never the mere arrival of messages: a member
// cut off from the quorum goes on sending progress notifications (multiregion 2.3, 2.4).

import { assert, assertNever, fullJitterMs, type Instant, type Random } from "@meridian/proto/base";
import { EndpointOrder } from "./endpoint-order.ts";
import { eventRevision, type Revision, type StoreEvent } from "./entry.ts";
import {
  type ProbeResult,
  type WatchCommand,
  type WatchInput,
  type WatchNotice,
  type WatchResponse,
  type WatchState,
  type WatchTimings,
  watchTimings,
} from "./watch-messages.ts";

export type WatchEngineOptions = {
  /** First revision whose events are wanted. */
  readonly from: Revision;
  /** How many members there are; 0 is the nearest. */
  readonly endpoints: number;
  readonly random: Random;
  readonly timings?: WatchTimings;
};

/** One stream, from its opening to its end. */
type Stream = {
  readonly id: number;
  readonly endpoint: number;
  readonly createBy: Instant;
  created: boolean;
  /** When a read through its member first succeeded. */
  confirmedAt: Instant | undefined;
  /** Events of the newest revision of a response that is not complete. */
  pending: readonly StoreEvent[];
  /** Nothing new has come since. */
  quietSince: Instant;
  /** When to ask a nearer member whether it is well again. */
  homeAt: Instant;
  /** A write that a read saw and the watch has not told. */
  overdue: { readonly revision: Revision; readonly until: Instant } | undefined;
};

type Probe = {
  readonly id: number;
  /** life: of the stream's own member. home: of a nearer one, to move to. */
  readonly purpose: "life" | "home";
  readonly endpoint: number;
  readonly until: Instant;
  /** Known before the read was sent: a read that does not see it is of a store that went back. */
  readonly known: Revision;
};

export class WatchEngine {
  readonly #timings: WatchTimings;
  readonly #random: Random;
  readonly #order: EndpointOrder;
  /** Events below are not wanted, or told already. */
  #next: Revision;
  /** The store surely stood here once. Not #next - 1: a watch may begin at a revision to come. */
  #known: Revision = 0;
  #stream: Stream | undefined;
  #probe: Probe | undefined;
  #reopenAt: Instant | undefined;
  #state: WatchState = "rebuilding";
  #contactAt: Instant = 0;
  #interrupted = false;
  #attempts = 0;
  #ids = 0;
  #ended = false;
  #commands: WatchCommand[] = [];

  constructor(options: WatchEngineOptions) {
    assert(options.endpoints > 0, "a watch needs a member");
    this.#timings = options.timings ?? watchTimings;
    this.#random = options.random;
    this.#order = new EndpointOrder(options.endpoints, this.#timings.restMs);
    this.#next = Math.max(1, options.from);
  }

  get state(): WatchState {
    return this.#state;
  }

  /** true after `compacted`: nothing more will come. */
  get ended(): boolean {
    return this.#ended;
  }

  /** When the engine wants a tick, whatever else happens; undefined: never. */
  get wakeAt(): Instant | undefined {
    if (this.#ended) return undefined;
    const { quietMs, staleMs } = this.#timings;
    const times: Instant[] = [];
    if (this.#reopenAt !== undefined) times.push(this.#reopenAt);
    if (this.#probe !== undefined) times.push(this.#probe.until);
    if (this.#state === "rebuilding") times.push(this.#contactAt + staleMs);
    const stream = this.#stream;
    if (stream !== undefined) {
      if (!stream.created) times.push(stream.createBy);
      else if (stream.overdue !== undefined) times.push(stream.overdue.until);
      else if (this.#probe === undefined) times.push(stream.quietSince + quietMs, stream.homeAt);
    }
    return times.length === 0 ? undefined : Math.min(...times);
  }

  /** Takes what happened and says what to do, in order. */
  step(input: WatchInput, now: Instant): readonly WatchCommand[] {
    if (this.#ended) return [];
    this.#commands = [];
    this.#take(input, now);
    return this.#commands;
  }

  #take(input: WatchInput, now: Instant): void {
    const stream = this.#stream;
    switch (input.kind) {
      case "start":
        this.#contactAt = now;
        this.#open(now);
        return;
      case "response":
        // A stream given up may still have messages under way; they are not news.
        if (stream?.id === input.stream) this.#takeResponse(stream, input.response, now);
        return;
      case "failed":
        if (stream?.id === input.stream) this.#fail(stream, input.message, now);
        return;
      case "probed":
        if (stream !== undefined && this.#probe?.id === input.probe) {
          this.#takeProbe(stream, this.#probe, input.result, now);
        }
        return;
      case "tick":
        this.#tick(now);
        return;
      default:
        assertNever(input);
    }
  }

  #open(now: Instant): void {
    const endpoint = this.#order.choose(now);
    this.#reopenAt = undefined;
    this.#stream = {
      id: this.#ids++,
      endpoint,
      createBy: now + this.#timings.createMs,
      created: false,
      confirmedAt: undefined,
      pending: [],
      quietSince: now,
      homeAt: endpoint === 0 ? Number.POSITIVE_INFINITY : now + this.#timings.homeMs,
      overdue: undefined,
    };
    // One revision early, and what comes twice is dropped: etcd before 3.4.36 forgets a deletion made at the very
    // revision it compacted to, but refuses a watch from before it, which then lists again.
    const from = Math.max(1, this.#next - 1);
    this.#commands.push({ kind: "open", stream: this.#stream.id, endpoint, from });
  }

  #takeResponse(stream: Stream, response: WatchResponse, now: Instant): void {
    if (response.canceled) {
      if (response.compactRevision > 0) this.#endCompacted(response.compactRevision + 1);
      else this.#fail(stream, `the watch was cancelled: ${response.cancelReason}`, now);
    } else if (response.created) {
      stream.created = true;
      stream.quietSince = now;
      this.#ask("life", stream.endpoint, now);
    } else if (response.events.length > 0 || stream.pending.length > 0) {
      this.#takeEvents(stream, response, now);
    } else if (response.revision >= this.#next) {
      this.#notify({ kind: "progress", revision: response.revision });
      this.#advance(stream, response.revision, now);
    }
  }

  /** Hands on whole revisions; the newest one of a fragment may have more events in the next fragment. */
  #takeEvents(stream: Stream, response: WatchResponse, now: Instant): void {
    const all = [...stream.pending, ...response.events].filter(
      (event) => eventRevision(event) >= this.#next,
    );
    const last = all.at(-1);
    // A fragment under way is a sign of life, though not yet an event.
    stream.quietSince = now;
    const incomplete = response.fragment && last !== undefined ? eventRevision(last) : undefined;
    stream.pending = all.filter((event) => eventRevision(event) === incomplete);
    const whole = all.slice(0, all.length - stream.pending.length);
    const lastWhole = whole.at(-1);
    if (lastWhole === undefined) return;
    const revision = eventRevision(lastWhole);
    this.#notify({ kind: "events", revision, events: whole });
    this.#advance(stream, revision, now);
  }

  #advance(stream: Stream, revision: Revision, now: Instant): void {
    this.#next = revision + 1;
    this.#known = Math.max(this.#known, revision);
    this.#contactAt = now;
    this.#attempts = 0;
    stream.quietSince = now;
    if (stream.overdue !== undefined && stream.overdue.revision <= revision) {
      stream.overdue = undefined;
    }
  }

  #ask(purpose: Probe["purpose"], endpoint: number, now: Instant): void {
    const { probeMs } = this.#timings;
    const id = this.#ids++;
    this.#probe = { id, purpose, endpoint, until: now + probeMs, known: this.#known };
    this.#commands.push({ kind: "probe", probe: id, endpoint, deadlineMs: probeMs });
  }

  #takeProbe(stream: Stream, probe: Probe, result: ProbeResult, now: Instant): void {
    this.#probe = undefined;
    if (probe.purpose === "home") {
      this.#goHome(stream, probe, result, now);
      return;
    }
    if (result.kind === "failed") {
      this.#enter("stale", result.message);
      this.#fail(stream, `its member has no quorum: ${result.message}`, now);
      return;
    }
    // Not this.#known: events may have overtaken the answer.
    if (result.revision < probe.known) {
      // Restored from a backup: what we hold is of a future that never was.
      this.#endCompacted(result.revision + 1);
      return;
    }
    this.#known = Math.max(this.#known, result.revision);
    this.#contactAt = now;
    stream.quietSince = now;
    if (stream.confirmedAt === undefined) {
      stream.confirmedAt = now;
      this.#order.succeeded(stream.endpoint);
      this.#enter("live", "");
      if (this.#interrupted) this.#notify({ kind: "resumed" });
      this.#interrupted = false;
    } else if (result.newest >= this.#next) {
      stream.overdue = { revision: result.newest, until: now + this.#timings.overdueMs };
    }
  }

  /** Moves to the nearer member when it answered. Nothing is told: the watch was not interrupted. */
  #goHome(stream: Stream, probe: Probe, result: ProbeResult, now: Instant): void {
    if (result.kind === "failed") {
      this.#order.failed(probe.endpoint, now);
      stream.homeAt = now + this.#timings.homeMs;
      return;
    }
    this.#order.succeeded(probe.endpoint);
    this.#commands.push({ kind: "close", stream: stream.id });
    this.#open(now);
  }

  #tick(now: Instant): void {
    const { staleMs, quietMs } = this.#timings;
    const stream = this.#stream;
    if (this.#state === "rebuilding" && now >= this.#contactAt + staleMs) {
      this.#enter("stale", "no member was found");
    }
    if (stream === undefined) {
      if (this.#reopenAt !== undefined && now >= this.#reopenAt) this.#open(now);
    } else if (!stream.created) {
      if (now >= stream.createBy) this.#fail(stream, "the watch was not created in time", now);
    } else if (this.#probe !== undefined) {
      if (now >= this.#probe.until) {
        const late = { kind: "failed", message: "no answer in time" } as const;
        this.#takeProbe(stream, this.#probe, late, now);
      }
    } else if (stream.overdue !== undefined) {
      if (now >= stream.overdue.until)
        this.#fail(stream, "the watch is dead: a write passed it", now);
    } else if (now >= stream.quietSince + quietMs) {
      this.#ask("life", stream.endpoint, now);
    } else if (now >= stream.homeAt) {
      this.#askNearer(stream, now);
    }
  }

  #askNearer(stream: Stream, now: Instant): void {
    const nearer = this.#order.choose(now);
    if (nearer < stream.endpoint) this.#ask("home", nearer, now);
    else stream.homeAt = now + this.#timings.homeMs;
  }

  #fail(stream: Stream, message: string, now: Instant): void {
    const { backoff, staleMs } = this.#timings;
    this.#commands.push({ kind: "close", stream: stream.id });
    this.#stream = undefined;
    this.#probe = undefined;
    this.#order.failed(stream.endpoint, now);
    // Served for a while: what happens now is a new failure, not one more of the same.
    if (stream.confirmedAt !== undefined && now - stream.confirmedAt > staleMs) this.#attempts = 0;
    this.#reopenAt = now + fullJitterMs(this.#attempts++, backoff, this.#random);
    if (this.#state === "live") this.#enter("rebuilding", message);
    if (!this.#interrupted) this.#notify({ kind: "interrupted", message });
    this.#interrupted = true;
  }

  #endCompacted(oldest: Revision): void {
    if (this.#stream !== undefined) {
      this.#commands.push({ kind: "close", stream: this.#stream.id });
    }
    this.#stream = undefined;
    this.#ended = true;
    this.#notify({ kind: "compacted", oldest });
  }

  #enter(state: WatchState, reason: string): void {
    if (state === this.#state) return;
    this.#state = state;
    this.#commands.push({ kind: "state", state, reason });
  }

  #notify(notice: WatchNotice): void {
    this.#commands.push({ kind: "notify", notice });
  }
}
