// What a proxy's threads learn together from calls: budgets, who is full, who is late. Each part over its own memory.

import {
  CallBudgets,
  callBudgetBytes,
  FirstTokenTimes,
  firstTokenBytes,
} from "../attempt/index.ts";
import { Saturation, saturationBytes } from "../balance/index.ts";
import { RegionPaths, regionPathsBytes } from "../locality/index.ts";

export type CallKnowledge = {
  readonly budgets: CallBudgets;
  readonly times: FirstTokenTimes;
  readonly saturation: Saturation;
  readonly paths: RegionPaths;
};

/** The memory behind it. Threads that share it must count time from one origin. */
export type CallBuffers = {
  readonly budgets: SharedArrayBuffer;
  readonly times: SharedArrayBuffer;
  readonly saturation: SharedArrayBuffer;
  readonly paths: SharedArrayBuffer;
};

/** Knowledge that no other thread sees, about so many targets. */
export function ownCallKnowledge(slots: number): CallKnowledge {
  return {
    budgets: new CallBudgets(),
    times: new FirstTokenTimes(new ArrayBuffer(firstTokenBytes(slots))),
    saturation: new Saturation(new ArrayBuffer(saturationBytes(slots))),
    paths: new RegionPaths(),
  };
}

/** Zeroed memory for threads to share. */
export function createCallBuffers(slots: number): CallBuffers {
  return {
    budgets: new SharedArrayBuffer(callBudgetBytes),
    times: new SharedArrayBuffer(firstTokenBytes(slots)),
    saturation: new SharedArrayBuffer(saturationBytes(slots)),
    paths: new SharedArrayBuffer(regionPathsBytes),
  };
}

export function openCallBuffers(buffers: CallBuffers): CallKnowledge {
  return {
    budgets: new CallBudgets(buffers.budgets),
    times: new FirstTokenTimes(buffers.times),
    saturation: new Saturation(buffers.saturation),
    paths: new RegionPaths(buffers.paths),
  };
}
