// What a checker of a promise is: it is told what happens, and says when the promise is broken.

import type { VerdictChange } from "@meridian/control-core/health";
import type { Ending } from "@meridian/data-core/attempt";
import type { Snapshot } from "@meridian/proto/gen/snapshot_pb";
import type { StateFrame } from "@meridian/proto/gen/sync_pb";
import type { ControlPlane } from "../control/control-plane.ts";
import type { AskerEnding } from "../fleet/asker.ts";
import type { Exchange } from "../fleet/exchange.ts";
import type { SimProxy } from "../fleet/proxy.ts";
import type { NotedCall, NotedSpeech } from "../fleet/proxy-notes.ts";
import type { RequestRecord } from "../kernel/request.ts";
import type { Scene } from "../scene/scene.ts";

export type Checker = {
  /** The engine has admitted a request. */
  readonly began?: (exchange: Exchange) => void;
  readonly refused?: (exchange: Exchange, code: string) => void;
  readonly called?: (exchange: Exchange, call: NotedCall) => void;
  readonly spoke?: (exchange: Exchange, spoken: NotedSpeech) => void;
  readonly held?: (exchange: Exchange) => void;
  readonly ended?: (exchange: Exchange, ending: Ending) => void;
  readonly applied?: (proxy: SimProxy, snapshot: Snapshot, source: string) => void;
  readonly observed?: (proxy: SimProxy, frame: StateFrame) => void;
  readonly verdict?: (control: ControlPlane, change: VerdictChange) => void;
  readonly arrived?: (record: RequestRecord, exchange: Exchange) => void;
  readonly firstToken?: (record: RequestRecord) => void;
  /** What a client was told at the end; undefined: nothing. */
  readonly finished?: (record: RequestRecord, told: AskerEnding | undefined) => void;
  readonly eachSecond?: () => void;
  readonly atEnd?: () => void;
};

export type Violation = {
  readonly checker: string;
  /** Of the world. */
  readonly atMs: number;
  readonly message: string;
};

/** Makes a checker for one run. */
export type CheckerMaker = (scene: Scene, violate: (message: string) => void) => Checker;
