// Connections to backends and to other regions' proxies: one pool per origin, opened when a policy names it and closed
// when none does. Peers get our certificate, must show one of role proxy, and are kept warm.

import type { PeerCertificate } from "node:tls";
import tls from "node:tls";
import type { Candidate } from "@meridian/data-core/attempt";
import { parseSubjectAltName } from "@meridian/proto/identity";
import { type Dispatcher, Pool } from "undici";

/** PEM. One identity serves as client to other regions' proxies and as server towards them. */
export type PeerTls = { readonly ca: Buffer; readonly cert: Buffer; readonly key: Buffer };

/** What connections are made to. */
export type UpstreamTarget = Pick<Candidate, "kind" | "region" | "origin">;

/** How long a connection attempt may hang; a request gives up on it sooner, by its route's own limit. */
const connectTimeoutMs = 5_000;
/** Idle peer connections outlive the pause between two warming requests. */
const peerKeepAliveMs = 60_000;
const warmEveryMs = 15_000;

export class Upstreams {
  readonly #peerTls: PeerTls | undefined;
  /** host:port of a peer → host:port where it is reached from here, through a tunnel or a relay. */
  readonly #peerVia: ReadonlyMap<string, string>;
  readonly #pools = new Map<string, Pool>();
  #peerKeys: readonly string[] = [];
  #warming: NodeJS.Timeout | undefined;

  constructor(peerTls: PeerTls | undefined, peerVia: ReadonlyMap<string, string> = new Map()) {
    this.#peerTls = peerTls;
    this.#peerVia = peerVia;
  }

  /** Opens what is new, closes what is gone; requests under way on a closed pool run to their end. */
  refresh(candidates: readonly UpstreamTarget[]): void {
    const wanted = new Set(candidates.map(poolKey));
    for (const [key, pool] of this.#pools) {
      if (wanted.has(key)) continue;
      this.#pools.delete(key);
      pool.close().catch(ignoreClosing);
    }
    for (const candidate of candidates) this.pool(candidate);
    const peers = candidates.filter((each) => each.kind === "peer");
    this.#peerKeys = peers.map(poolKey);
    this.#warm();
    this.#warming ??= setInterval(() => this.#warm(), warmEveryMs).unref();
  }

  pool(candidate: UpstreamTarget): Pool {
    const held = this.#pools.get(poolKey(candidate));
    if (held !== undefined) return held;
    const pool = new Pool(this.#reach(candidate), this.#poolOptions(candidate));
    // A pool tells each broken connection as an event, too; the call that used it has told it already.
    pool.on("connectionError", ignoreClosing);
    this.#pools.set(poolKey(candidate), pool);
    return pool;
  }

  async close(): Promise<void> {
    clearInterval(this.#warming);
    const pools = [...this.#pools.values()];
    this.#pools.clear();
    await Promise.all(pools.map((pool) => pool.destroy()));
  }

  #reach(candidate: UpstreamTarget): string {
    if (candidate.kind === "backend") return candidate.origin;
    const way = this.#peerVia.get(candidate.origin.replace(/^https:\/\//, ""));
    return way === undefined ? candidate.origin : `https://${way}`;
  }

  #poolOptions(candidate: UpstreamTarget): Pool.Options {
    // Time is kept by the attempts: undici's own limits are off.
    const shared = { pipelining: 1, headersTimeout: 0, bodyTimeout: 0, allowH2: false };
    if (candidate.kind === "backend") return { ...shared, connect: { timeout: connectTimeoutMs } };
    const { region } = candidate;
    return {
      ...shared,
      keepAliveTimeout: peerKeepAliveMs,
      connect: {
        ...this.#peerTls,
        timeout: connectTimeoutMs,
        checkServerIdentity: (host: string, certificate: PeerCertificate) =>
          tls.checkServerIdentity(host, certificate) ?? checkPeer(certificate, region),
      },
    };
  }

  /** Keeps one connection to each peer open, so that the first request that must go abroad pays no handshake. */
  #warm(): void {
    if (this.#peerTls === undefined) return;
    for (const key of this.#peerKeys) {
      this.#pools.get(key)?.dispatch({ path: "/", method: "HEAD" }, new WarmingHandler());
    }
  }
}

/** A pool trusts one region's proxies; an address that changes its region gets another pool. */
function poolKey({ kind, region, origin }: UpstreamTarget): string {
  return kind === "peer" ? `${region} ${origin}` : origin;
}

/** The other side must be a proxy of the region that the policy says it is. */
function checkPeer(certificate: PeerCertificate, region: string): Error | undefined {
  const identity = parseSubjectAltName(certificate.subjectaltname);
  if (identity?.role === "proxy" && identity.region === region) return undefined;
  return new Error(`the peer's certificate is not of a proxy of ${region}`);
}

/** The answer to a warming request does not matter. */
class WarmingHandler implements Dispatcher.DispatchHandler {
  onRequestStart(): void {
    // Nothing to keep.
  }

  onResponseError(): void {
    // A peer out of reach is noticed by the requests that need it.
  }
}

function ignoreClosing(): void {
  // Requests on the pool have been told themselves.
}
