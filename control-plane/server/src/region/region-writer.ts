// Writes what other regions are told: each served region's heartbeat every two seconds, and its digest when it changes or
// has not been written for ten. Few writes by design, and one commit for all regions (reference 2.5).

import {
  type DigestWritten,
  digestDueAt,
  digestRegion,
  type Proxies,
  type RegionDigest,
  type RegionLoads,
} from "@meridian/control-core/fleet";
import type { RegionHealth } from "@meridian/control-core/health";
import type { Clock, Instant } from "@meridian/proto/base";
import type { Published } from "../published.ts";
import { keys } from "../store/keys.ts";
import type { Operation, Store } from "../store/store.ts";
import type { Heartbeat, RegionView } from "./region-view.ts";

export type RegionWriterOptions = {
  readonly store: Pick<Store, "commit">;
  readonly clock: Clock;
  /** Of this control plane. */
  readonly id: string;
  /** Regions to write for. */
  readonly regions: readonly string[];
  readonly proxies: Proxies;
  readonly view: RegionView;
  readonly health: RegionHealth;
  readonly loads: RegionLoads;
  readonly published: () => Published | undefined;
  /** After each write; undefined: it worked. */
  readonly noteWrite: (failure: string | undefined) => void;
};

const tickMs = 500;
const heartbeatMs = 2_000;
const pruneMs = 60_000;
/** Within this, proxies that followed another region's control plane are home again: 10 s, and a probe each 10 to 15 s. */
const comeBackMs = 25_000;

export class RegionWriter {
  readonly #options: RegionWriterOptions;
  readonly #timer: NodeJS.Timeout;
  readonly #digests = new Map<string, DigestWritten>();
  /** As they are now, written yet or not. */
  #newest: ReadonlyMap<string, RegionDigest> = new Map();
  readonly #aloneSince = new Map<string, Instant>();
  #heartbeatAt = Number.NEGATIVE_INFINITY;
  #prunedAt: Instant;
  #sequence = 0;
  #writing: Promise<void> | undefined;

  constructor(options: RegionWriterOptions) {
    this.#options = options;
    this.#prunedAt = options.clock.now();
    this.#timer = setInterval(() => this.#tick(), tickMs);
  }

  /** undefined: not a region that this control plane writes for, or it knows nothing of it yet. */
  newest(region: string): RegionDigest | undefined {
    return this.#newest.get(region);
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#writing;
  }

  #tick(): void {
    const now = this.#options.clock.now();
    if (now - this.#prunedAt >= pruneMs) {
      this.#prunedAt = now;
      this.#options.proxies.prune(now);
    }
    this.#newest = this.#readDigests(now);
    // A slow store gets the next write when it has taken the last one.
    if (this.#writing !== undefined) return;
    const digests = [...this.#newest.values()].flatMap((digest) =>
      digestDueAt(this.#digests.get(digest.region), digest) <= now ? [{ digest, at: now }] : [],
    );
    const isHeartbeatDue = now - this.#heartbeatAt >= heartbeatMs;
    if (digests.length === 0 && !isHeartbeatDue) return;
    const operations = digests.map(({ digest }) => put(keys.digest(digest.region), digest));
    if (isHeartbeatDue) operations.push(...this.#heartbeats(now));
    this.#writing = this.#write(operations, digests).finally(() => {
      this.#writing = undefined;
    });
  }

  #heartbeats(now: Instant): readonly Operation[] {
    this.#heartbeatAt = now;
    this.#sequence += 1;
    const { id, clock, regions } = this.#options;
    const beat: Heartbeat = { id, sequence: this.#sequence, wallMs: clock.wall() };
    return regions.map((region) => put(keys.heartbeat(region), beat));
  }

  #readDigests(now: Instant): ReadonlyMap<string, RegionDigest> {
    const { clock, published, proxies, view, health, loads, regions } = this.#options;
    const policy = published()?.policy;
    if (policy === undefined) return new Map();
    const judged = (name: string) => health.backend(name, now);
    const from = { policy, proxies, loads, drains: view.drains(), judged, wall: clock.wall() };
    const present = new Set(
      proxies.list(now).flatMap((each) => (each.isFresh ? [each.region] : [])),
    );
    const known = regions.filter((region) => this.#mayTell(region, present.has(region), now));
    return new Map(
      known.map((region) => {
        const former = view.signs.digest(region);
        return [region, digestRegion(region, { ...from, former }, now)];
      }),
    );
  }

  /**
   * A control plane without proxies knows nothing of its region: after its own restart they need a while to come back,
   * and until then the last digest says more than an empty one (design 1.8).
   */
  #mayTell(region: string, hasProxies: boolean, now: Instant): boolean {
    if (hasProxies) {
      this.#aloneSince.delete(region);
      return true;
    }
    const since = this.#aloneSince.get(region) ?? now;
    this.#aloneSince.set(region, since);
    return now - since >= comeBackMs;
  }

  async #write(operations: readonly Operation[], digests: readonly DigestWritten[]): Promise<void> {
    const done = await this.#options.store.commit({ compare: [], operations });
    this.#options.noteWrite(done.kind === "ok" ? undefined : done.error.message);
    if (done.kind === "err") return;
    for (const each of digests) this.#digests.set(each.digest.region, each);
  }
}

function put(key: string, value: unknown): Operation {
  return { kind: "put", key, value: new TextEncoder().encode(JSON.stringify(value)) };
}
