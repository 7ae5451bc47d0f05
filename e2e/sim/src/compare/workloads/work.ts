// What a workload is made of: sessions, each a tree of requests, with the text of every request as a chain of blocks.

import type { serverSizes } from "../../kernel/model-server.ts";

/** Tokens in one block of a prompt, as caches and indexes count them: four make one block of the product's prefix hash. */
export const blockTokens = 64;

/**
 * One request of a session. Its text is a chain of blocks: an id stands for everything up to and with its block, so equal
 * ids mean an equal beginning.
 */
export type Step = {
  /** The step of the same session that must have been answered first; -1: none. */
  readonly after: number;
  /** From that answer's end, or from the session's start, to the request. */
  readonly thinkMs: number;
  readonly promptTokens: number;
  readonly outputTokens: number;
  /** Blocks that the prompt fills. Ids are below 2^30. */
  readonly blocks: readonly number[];
  /** The same, and after them those of the answer. */
  readonly blocksAfter: readonly number[];
};

export type Session = {
  readonly atMs: number;
  /** Place of the region that its client is in. */
  readonly region: number;
  readonly steps: readonly Step[];
};

/** How much of it, when and where. */
export type Demand = {
  /** Requests a second over all regions, in the mean over a day. */
  readonly requestsPerSecond: number;
  readonly durationMs: number;
  /** Where in the day the run begins: 0 to 1. */
  readonly phase: number;
  /** Shares of the demand by region, in the mean over a day; their sum is 1. */
  readonly shares: readonly number[];
  /** A region's demand at its peak over that at its trough; 1: no tide. */
  readonly peakToTrough: number;
  readonly seed: string;
};

export type Workload = {
  readonly name: string;
  /** 90 of 100 first tokens must have come after so long. */
  readonly objectiveMs: number;
  /** The model servers that such a service runs on. */
  readonly server: keyof typeof serverSizes;
  /** A first guess at what twelve replicas carry, in requests a second: where the search begins. */
  readonly guess: number;
  readonly sessions: (demand: Demand) => readonly Session[];
};
