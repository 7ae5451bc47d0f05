// The door of the request path.

export {
  createDataServer,
  type DataServer,
  type DataServerOptions,
  type DataServerSettings,
  type DataServerStats,
  type FinishedExchange,
  type PeerTls,
  type RequestLogger,
  type RequestMetrics,
} from "./data-server.ts";
