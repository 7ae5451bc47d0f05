// What a proxy's threads learn together from calls: budgets, who is full, who is late, who has which prompt.
// Each part over its own memory.

import {
  CallBudgets,
  callBudgetBytes,
  FirstTokenTimes,
  firstTokenBytes,
} from "../attempt/index.ts";
import {
  BackendBuckets,
  bucketBytes,
  EngineLoads,
  engineLoadBytes,
  PrefixIndex,
  prefixIndexBytes,
  Saturation,
  saturationBytes,
} from "../balance/index.ts";
import { RegionPaths, regionPathsBytes } from "../locality/index.ts";

export type CallKnowledge = {
  readonly budgets: CallBudgets;
  readonly times: FirstTokenTimes;
  readonly saturation: Saturation;
  readonly paths: RegionPaths;
  /** What model servers say of their queues. */
  readonly engines: EngineLoads;
  /** What they bear per minute. */
  readonly buckets: BackendBuckets;
  /** Which beginnings of prompts they were sent. */
  readonly prefixes: PrefixIndex;
};

/** The memory behind it. Threads that share it must count time from one origin. */
export type CallBuffers = {
  readonly budgets: SharedArrayBuffer;
  readonly times: SharedArrayBuffer;
  readonly saturation: SharedArrayBuffer;
  readonly paths: SharedArrayBuffer;
  readonly engines: SharedArrayBuffer;
  readonly buckets: SharedArrayBuffer;
  readonly prefixes: SharedArrayBuffer;
};

/** Knowledge that no other thread sees, about so many targets. */
export function ownCallKnowledge(slots: number): CallKnowledge {
  return {
    budgets: new CallBudgets(),
    times: new FirstTokenTimes(new ArrayBuffer(firstTokenBytes(slots))),
    saturation: new Saturation(new ArrayBuffer(saturationBytes(slots))),
    paths: new RegionPaths(),
    engines: new EngineLoads(new ArrayBuffer(engineLoadBytes(slots))),
    buckets: new BackendBuckets(new ArrayBuffer(bucketBytes(slots))),
    prefixes: new PrefixIndex(new ArrayBuffer(prefixIndexBytes), slots),
  };
}

/** Zeroed memory for threads to share. */
export function createCallBuffers(slots: number): CallBuffers {
  return {
    budgets: new SharedArrayBuffer(callBudgetBytes),
    times: new SharedArrayBuffer(firstTokenBytes(slots)),
    saturation: new SharedArrayBuffer(saturationBytes(slots)),
    paths: new SharedArrayBuffer(regionPathsBytes),
    engines: new SharedArrayBuffer(engineLoadBytes(slots)),
    buckets: new SharedArrayBuffer(bucketBytes(slots)),
    prefixes: new SharedArrayBuffer(prefixIndexBytes),
  };
}

export function openCallBuffers(buffers: CallBuffers): CallKnowledge {
  return {
    budgets: new CallBudgets(buffers.budgets),
    times: new FirstTokenTimes(buffers.times),
    saturation: new Saturation(buffers.saturation),
    paths: new RegionPaths(buffers.paths),
    engines: new EngineLoads(buffers.engines),
    buckets: new BackendBuckets(buffers.buckets),
    prefixes: new PrefixIndex(buffers.prefixes, buffers.engines.byteLength / engineLoadBytes(1)),
  };
}

/** Slots that are other targets' from now on: calls that ended late may have left something behind. */
export function forgetSlots(calls: CallKnowledge, slots: readonly number[]): void {
  for (const slot of slots) {
    calls.times.forget(slot);
    calls.saturation.forget(slot);
    calls.engines.forget(slot);
    calls.buckets.forget(slot);
  }
  calls.prefixes.forget(slots);
}
