// Tries the ways to other regions over the very ports that requests take, and writes what it finds where choices are made.
// Beside serving and never in its way.

import type { RegionPaths } from "@meridian/data-core/locality";
import {
  type DuePath,
  PathPlan,
  type PathRequest,
  pathLimitMs,
} from "@meridian/data-core/locality";
import type { Clock, Random } from "@meridian/proto/base";
import type { Snapshot } from "@meridian/proto/gen/snapshot_pb";
import { readSnapshot } from "@meridian/proto/snapshot";
import { type PeerTls, Upstreams, type UpstreamTarget } from "../upstream/upstreams.ts";
import { type PathAnswer, PathCall } from "./path-call.ts";
import { parsePeerState, peerInferencePath, peerStatePath } from "./peer-state.ts";

export type PathProberOptions = {
  /** This proxy's name in the fleet, and its region. */
  readonly id: string;
  readonly region: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly peerTls: PeerTls;
  /** host:port of a peer in the policy → host:port where it is reached from here. */
  readonly peerVia: ReadonlyMap<string, string>;
  readonly paths: RegionPaths;
  /** The region's proxies, as far as they are known. */
  readonly proxies: () => readonly string[];
  readonly logger: {
    readonly info: (fields: object, message: string) => void;
    readonly warn: (fields: object, message: string) => void;
  };
};

/** By kind of request; they grow from the start, never fall. */
export type PathCounts = {
  readonly [K in PathRequest]: { readonly answered: number; readonly failed: number };
};

/** undefined: never measured. */
export type PathReading = {
  readonly counts: PathCounts;
  readonly isWorking: boolean;
  readonly rttMs: number | undefined;
};

const tickMs = 50;

type Counts = { [K in PathRequest]: { answered: number; failed: number } };

export class PathProber {
  readonly #options: PathProberOptions;
  readonly #plan: PathPlan;
  readonly #upstreams: Upstreams;
  readonly #counts = new Map<string, Counts>();
  readonly #calls = new Set<PathCall>();
  /** Each region's peer addresses; of several the next one is asked each time. */
  #peers = new Map<string, readonly UpstreamTarget[]>();
  #turn = 0;
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(options: PathProberOptions) {
    this.#options = options;
    this.#plan = new PathPlan(options.random, options.id);
    this.#upstreams = new Upstreams(options.peerTls, options.peerVia);
  }

  /** A snapshot came into force. */
  take(snapshot: Snapshot): void {
    const view = readSnapshot(snapshot);
    // The engine has read it before.
    if (view.kind === "err" || this.#isClosed) return;
    const others = view.value.regions.filter((each) => each.name !== this.#options.region);
    this.#peers = new Map(
      others
        .filter((each) => each.peers.length > 0)
        .map(({ name, peers }) => [name, peers.map((peer) => targetOf(name, peer))]),
    );
    for (const name of this.#counts.keys()) {
      if (!this.#peers.has(name)) this.#counts.delete(name);
    }
    this.#upstreams.refresh([...this.#peers.values()].flat());
    this.#plan.arrange([...this.#peers.keys()], this.#options.clock.now());
    this.#timer ??= setInterval(() => this.#tick(), tickMs).unref();
  }

  /** By region, for those of the policy that were tried. */
  readings(): ReadonlyMap<string, PathReading> {
    const { clock, paths } = this.#options;
    const now = clock.now();
    return new Map(
      [...this.#counts].map(([region, counts]) => {
        const isWorking = !paths.isFailing(region, now);
        return [region, { counts, isWorking, rttMs: paths.rttMs(region) }];
      }),
    );
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    clearInterval(this.#timer);
    for (const call of [...this.#calls]) call.stop("the proxy stops");
    await this.#upstreams.close();
  }

  #tick(): void {
    const { clock, proxies } = this.#options;
    for (const due of this.#plan.due(proxies, clock.now())) this.#send(due);
  }

  #send(due: DuePath): void {
    const targets = this.#peers.get(due.region) ?? [];
    this.#turn += 1;
    const target = targets[this.#turn % Math.max(1, targets.length)];
    if (target === undefined) {
      this.#plan.ended(due);
      return;
    }
    const call = new PathCall(this.#options.clock, pathLimitMs[due.kind], (answer) => {
      this.#calls.delete(call);
      this.#plan.ended(due);
      if (this.#isClosed) return;
      if (due.kind === "state") this.#hearState(due.region, answer);
      else this.#hearInference(due.region, answer);
    });
    this.#calls.add(call);
    this.#upstreams.pool(target).dispatch(requests[due.kind], call);
  }

  /** Any answer of a proxy shows that the way works; one of 200 also tells how the region stands. */
  #hearState(region: string, answer: PathAnswer): void {
    const { clock, logger, paths } = this.#options;
    const now = clock.now();
    if (answer.kind === "none" || answer.status >= 500) {
      const reason = answer.kind === "none" ? answer.reason : `status ${answer.status}`;
      this.#count(region, "state", false);
      if (paths.noteFailure(region, now)) logger.warn({ region, reason }, "path failing");
      return;
    }
    this.#count(region, "state", true);
    if (paths.noteRtt(region, answer.rttMs, now)) logger.info({ region }, "path works again");
    const told = answer.status === 200 ? parsePeerState(answer.text) : undefined;
    for (const pool of told ?? []) paths.notePool(region, pool.model, pool, now);
  }

  /** That nobody there can answer now is no fault of the way: it shows in the metrics alone. */
  #hearInference(region: string, answer: PathAnswer): void {
    const isAnswered = answer.kind === "answer" && answer.status === 200;
    this.#count(region, "inference", isAnswered);
    if (isAnswered) return;
    const reason = answer.kind === "none" ? answer.reason : `status ${answer.status}`;
    this.#options.logger.info({ region, reason }, "no answer to a synthetic request");
  }

  #count(region: string, kind: PathRequest, isAnswered: boolean): void {
    // The policy dropped it meanwhile.
    if (!this.#peers.has(region)) return;
    const counts = this.#counts.get(region) ?? {
      state: { answered: 0, failed: 0 },
      inference: { answered: 0, failed: 0 },
    };
    counts[kind][isAnswered ? "answered" : "failed"] += 1;
    this.#counts.set(region, counts);
  }
}

/** The smallest request for a model; the other side knows which one, and takes it to one of its model servers. */
const requests = {
  state: { path: peerStatePath, method: "GET" },
  inference: { path: peerInferencePath, method: "POST" },
} as const;

function targetOf(
  region: string,
  { host, port }: { readonly host: string; readonly port: number },
): UpstreamTarget {
  const address = host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
  return { kind: "peer", region, origin: `https://${address}` };
}
