// The door of the request path.

export type { PeerTls } from "../upstream/upstreams.ts";
export { createDataServer, type DataServer, type DataServerStats } from "./data-server.ts";
export type {
  DataServerOptions,
  DataServerSettings,
  DecisionLog,
  FinishedExchange,
  RequestLogger,
  RequestMetrics,
} from "./data-server-options.ts";
