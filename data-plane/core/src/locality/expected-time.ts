// How soon a request's first token is expected from each place that could take it. Pure arithmetic; who measures the parts
// is told in docs/choosing.md.

/**
 * First token of an idle target: `baseMs`, and `msPerToken` for each prompt token that is not in its cache. Source of the
 * shape: GORGO (arXiv 2602.11688).
 */
export type FirstTokenFit = { readonly baseMs: number; readonly msPerToken: number };

/** Where nothing was measured: what an 8B model takes on one L4 or better, about. */
export const defaultFit: FirstTokenFit = { baseMs: 50, msPerToken: 0.1 };

/** What the expectation is made of. */
export type FirstTokenParts = {
  /** The way there and back; 0 within the region. */
  readonly netMs: number;
  /** Until it is the request's turn. */
  readonly queueMs: number;
  readonly fit: FirstTokenFit;
  /** Prompt tokens, without those that are probably cached there. */
  readonly tokens: number;
  /** How far off such expectations were of late: what predicts badly is liked less. */
  readonly errorMs: number;
};

/** T = net + W + a + m × (L − hit) + e, in milliseconds. */
export function expectedFirstTokenMs(parts: FirstTokenParts): number {
  return parts.netMs + parts.queueMs + idleFirstTokenMs(parts.fit, parts.tokens) + parts.errorMs;
}

/** What it takes where nobody waits. */
export function idleFirstTokenMs(fit: FirstTokenFit, tokens: number): number {
  return fit.baseMs + fit.msPerToken * Math.max(0, tokens);
}

/** The error of an expectation that nothing has tested yet: half of it, and never less than a way to the next region. */
export function untestedErrorMs(expectedMs: number): number {
  return Math.max(50, expectedMs / 2);
}

/** In glass light needs 1 ms for 100 km there and back; ways are half as long again as the crow flies, and end in routers. */
const netEstimate = { msPerKm: 0.015, fixedMs: 1 } as const;

/** Round trip over so many kilometres, until it is measured. 5,450 km: 83 ms. */
export function estimatedRttMs(km: number): number {
  return netEstimate.fixedMs + km * netEstimate.msPerKm;
}

/** Without a connection that is open already one more round trip is needed before the request can be sent. */
export function netMs(rttMs: number, isWarm: boolean): number {
  return isWarm ? rttMs : 2 * rttMs;
}

/** A pool that works on so much, and has so much before the request at hand. */
export type QueueParts = {
  /** Of those who stand before. */
  readonly tokensAhead: number;
  /** A usual call: how long it takes from its start to its end, and what it uses. */
  readonly callMs: number;
  readonly tokensPerCall: number;
  /** Calls that it works on at once. */
  readonly working: number;
};

/** Until a place is free: with n at work one ends each `callMs` / n, and each that stands before takes one. */
export function queueWaitMs(parts: QueueParts): number {
  const before = parts.tokensAhead / Math.max(1, parts.tokensPerCall);
  return (parts.callMs * (before + 1)) / Math.max(1, parts.working);
}

/** A digest counts in full for 5 s, and not at all after 30 s. */
const ageing = { fullMs: 5_000, overMs: 25_000 } as const;

/** What is left of a capacity that was told so long ago, 0 to 1. */
export function freshness(ageMs: number): number {
  return Math.min(1, Math.max(0, 1 - (ageMs - ageing.fullMs) / ageing.overMs));
}

/** What is known of another region's queue, by whichever way it came. */
export type RemoteQueue = {
  /** As the region itself told it, and how long ago. */
  readonly toldMs: number | undefined;
  readonly toldAgeMs: number;
  /** Of its digest: tokens still to do and tokens a second; undefined: not known. */
  readonly pendingTokens: number | undefined;
  readonly demandTokens: number;
  readonly capacityTokens: number | undefined;
  readonly digestAgeMs: number;
};

/** Synthetic requests ask each 2 s: a word older than three of them is no word on now. */
const toldFreshMs = 6_000;

/**
 * The wait there; undefined: nobody knows. What the region told goes before what its digest says: work under way is no
 * queue while the region does as much as is asked of it.
 */
export function remoteQueueMs(queue: RemoteQueue): number | undefined {
  if (queue.toldMs !== undefined && queue.toldAgeMs <= toldFreshMs) return queue.toldMs;
  const { pendingTokens, demandTokens, capacityTokens, digestAgeMs } = queue;
  if (capacityTokens === undefined || pendingTokens === undefined) return undefined;
  const capacity = capacityTokens * freshness(digestAgeMs);
  if (capacity <= 0) return undefined;
  return demandTokens <= capacity ? 0 : (pendingTokens / capacity) * 1_000;
}

/** A hop must gain at least so much, in milliseconds and of what it takes here; of a session's home more. */
export const gainMin = { ms: 50, share: 0.15, sessionShare: 0.3 } as const;

/** true: going there is worth it. */
export function isGain(hereMs: number, thereMs: number, isSession: boolean): boolean {
  const share = isSession ? gainMin.sessionShare : gainMin.share;
  return hereMs - thereMs > Math.max(gainMin.ms, share * hereMs);
}
