// Writes a region's heartbeat and digest. Mirrors the timer-driven shell of the same name in control-plane/server.

import {
  type DigestWritten,
  digestDueAt,
  digestRegion,
  type Proxies,
  type RegionDigest,
  type RegionLoads,
} from "@meridian/control-core/fleet";
import type { RegionHealth } from "@meridian/control-core/health";
import type { Instant } from "@meridian/proto/base";
import type { SimNode } from "../net/node.ts";
import { encodeJson, type StoreClient } from "../store/store-client.ts";
import type { Published } from "./policies.ts";
import type { RegionView } from "./region-view.ts";

export type RegionWriterOptions = {
  readonly node: SimNode;
  readonly store: StoreClient;
  readonly proxies: Proxies;
  readonly loads: RegionLoads;
  readonly view: RegionView;
  readonly health: RegionHealth;
  readonly published: () => Published | undefined;
};

const tickMs = 500;
const heartbeatMs = 2_000;
const comeBackMs = 25_000;

export class RegionWriter {
  readonly #options: RegionWriterOptions;
  /** As it is now, written yet or not. */
  newest: RegionDigest | undefined;
  #written: DigestWritten | undefined;
  #aloneSince: Instant | undefined;
  #heartbeatAt = Number.NEGATIVE_INFINITY;
  #sequence = 0;
  #isWriting = false;
  /** Writes that the store has taken. */
  writes = 0;

  constructor(options: RegionWriterOptions) {
    this.#options = options;
    options.node.every(tickMs, () => this.#tick());
  }

  #tick(): void {
    const { node, store } = this.#options;
    const now = node.now();
    this.newest = this.#read(now);
    if (this.#isWriting) return;
    const digest = this.#dueDigest(now);
    const isHeartbeatDue = now - this.#heartbeatAt >= heartbeatMs;
    if (digest === undefined && !isHeartbeatDue) return;
    const puts = digest === undefined ? [] : [this.#row("digest", digest.digest)];
    if (isHeartbeatDue) {
      this.#heartbeatAt = now;
      this.#sequence += 1;
      const beat = { id: node.name, sequence: this.#sequence, wallMs: node.wall() };
      puts.push(this.#row("hb", beat));
    }
    this.#isWriting = true;
    store.commit({ kind: "txn", compare: [], puts, deletes: [] }, (applied) => {
      this.#isWriting = false;
      if (applied === undefined) return;
      this.writes += 1;
      if (digest !== undefined) this.#written = digest;
    });
  }

  #row(kind: "digest" | "hb", value: unknown) {
    return { key: `/rt/${this.#options.node.region}/${kind}`, value: encodeJson(value), lease: 0 };
  }

  #dueDigest(now: Instant): DigestWritten | undefined {
    const digest = this.newest;
    if (digest === undefined || digestDueAt(this.#written, digest) > now) return undefined;
    return { digest, at: now };
  }

  #read(now: Instant): RegionDigest | undefined {
    const { node, published, proxies, view, health, loads } = this.#options;
    const policy = published()?.policy;
    if (policy === undefined) return undefined;
    const { region } = node;
    const hasProxies = proxies.list(now).some((each) => each.isFresh && each.region === region);
    if (!this.#mayTell(hasProxies, now)) return undefined;
    const judged = (name: string) => health.backend(name, now);
    const from = { policy, proxies, loads, drains: view.drains(), judged, wall: node.wall() };
    return digestRegion(region, { ...from, former: view.signs.digest(region) }, now);
  }

  #mayTell(hasProxies: boolean, now: Instant): boolean {
    if (hasProxies) {
      this.#aloneSince = undefined;
      return true;
    }
    this.#aloneSince ??= now;
    return now - this.#aloneSince >= comeBackMs;
  }
}
