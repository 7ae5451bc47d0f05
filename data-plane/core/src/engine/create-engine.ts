// Puts the engine together from its parts.

import { AssertionError, type Random } from "@meridian/proto/base";
import type { Engine } from "./engine.ts";

export type EngineOptions = {
  readonly region: string;
  readonly random: Random;
  /** Backing store of the load table; a SharedArrayBuffer when threads share it. Default: one of its own. */
  readonly loadBuffer?: ArrayBufferLike;
};

/** An engine without a snapshot: it refuses everything until `apply` gave it one. */
export function createEngine(_options: EngineOptions): Engine {
  throw new AssertionError("not built yet");
}
