// What a simulated proxy tells the checkers of promises, and how tests make it break them.

import type { CallRole, Candidate, Ending } from "@meridian/data-core/attempt";
import type { RequestFacts } from "@meridian/data-core/engine";
import type { Snapshot } from "@meridian/proto/gen/snapshot_pb";
import type { StateFrame } from "@meridian/proto/gen/sync_pb";
import type { AskerEnding } from "./asker.ts";
import type { Exchange } from "./exchange.ts";
import type { SimProxy } from "./proxy.ts";

/** What the world's checkers are told of proxies. */
export type ProxyNotes = {
  readonly began: (exchange: Exchange) => void;
  readonly refused: (exchange: Exchange, code: string) => void;
  readonly called: (exchange: Exchange, call: NotedCall) => void;
  readonly spoke: (exchange: Exchange, spoken: NotedSpeech) => void;
  readonly held: (exchange: Exchange) => void;
  readonly ended: (exchange: Exchange, ending: Ending) => void;
  readonly applied: (proxy: SimProxy, snapshot: Snapshot, source: string) => void;
  readonly observed: (proxy: SimProxy, frame: StateFrame) => void;
};

export type NotedCall = {
  readonly candidate: Candidate;
  readonly role: CallRole;
  readonly attempt: number;
  readonly reason: string;
};

export type NotedSpeech = {
  readonly attempt: number;
  readonly kind: "commit" | "splice";
  readonly role: CallRole;
};

/** Ways in which a test makes a proxy break its promises, so that the checkers have something to find. */
export type ProxySabotage = {
  readonly divert?: (exchange: Exchange, candidate: Candidate) => Candidate;
  readonly distort?: (
    exchange: Exchange,
    ending: AskerEnding | undefined,
  ) => AskerEnding | undefined;
  /** Of facts that the engine is given. */
  readonly alter?: (facts: RequestFacts) => RequestFacts;
};
