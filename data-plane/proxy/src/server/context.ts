// What every exchange of one data server shares.

import type { Engine } from "@meridian/data-core/engine";
import type { Clock } from "@meridian/proto/base";
import type { ClientError, ClientProtocol } from "@meridian/wire";
import type { Shadows } from "../shadow/shadows.ts";
import type { Upstreams } from "../upstream/upstreams.ts";
import type {
  DataServerSettings,
  DecisionLog,
  RequestLogger,
  RequestMetrics,
} from "./data-server-options.ts";
import type { Deadlines } from "./deadlines.ts";
import type { Exchange } from "./exchange.ts";
import type { HeldExchanges } from "./held-exchanges.ts";

export type ServerContext = {
  readonly engine: Engine;
  readonly clock: Clock;
  readonly settings: DataServerSettings;
  readonly logger: RequestLogger;
  readonly metrics: RequestMetrics;
  readonly decisions: DecisionLog;
  readonly protocol: ClientProtocol;
  readonly upstreams: Upstreams;
  readonly deadlines: Deadlines;
  readonly held: HeldExchanges;
  readonly shadows: Shadows;
  readonly isDraining: () => boolean;
  readonly newRequestId: () => string;
  /** Goes on with a later stage of the pipeline. */
  readonly resume: (exchange: Exchange, stage: "relay" | "settle") => void;
  /** Sends a refusal; the pipeline settles afterwards. */
  readonly refuse: (exchange: Exchange, error: ClientError) => void;
  /** A new exchange, and the end of one: each is told once. */
  readonly opened: () => void;
  readonly settled: () => void;
};
