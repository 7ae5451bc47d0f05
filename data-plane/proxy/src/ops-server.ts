// Health and metrics over plain HTTP, for probes, DNS servers and routers. Answers from memory: it asks nobody.

import { createServer, type Server, type ServerResponse } from "node:http";
import type { DecisionPages } from "./decisions/index.ts";
import type { RegionVerdict } from "./region-verdict.ts";

/** What the endpoints tell, read at each question. */
export type OpsSource = {
  /** Has a snapshot, listens, and isn't stopping; or why not. */
  readonly readiness: () => { readonly isReady: boolean; readonly reason: string };
  readonly region: () => RegionReading;
  readonly metrics: () => Promise<string>;
  readonly metricsType: string;
  readonly decisions: DecisionPages;
};

export type RegionReading = {
  readonly region: string;
  readonly verdict: RegionVerdict;
  /** Clients may be sent here. */
  readonly isOpen: boolean;
  /** Since when, wall time, ISO 8601. */
  readonly since: string;
  readonly revision: string;
  /** The regions' state is too old to be believed. */
  readonly isStale: boolean;
  readonly live: number;
};

/** Probes and scrapers are few; more connections than this are dropped. */
const connectionsMax = 512;

const paths =
  "/livez /readyz /gslb/ready /gslb/weight /gslb/state /metrics /decisions /decisions/ID";

type Reply = { readonly status: number; readonly type: string; readonly body: string };

/**
 * /livez /readyz /gslb/ready /gslb/weight /gslb/state /metrics /decisions. The caller calls `listen`.
 * Bodies: one line of text, but JSON for /gslb/state and /decisions, and Prometheus's text for /metrics.
 */
export function createOpsServer(source: OpsSource): Server {
  const server = createServer((request, response) => {
    const [path = "/", query = ""] = (request.url ?? "/").split("?");
    if (request.method !== "GET" && request.method !== "HEAD") {
      send(response, line(405, "only GET is possible here"));
      return;
    }
    answer(source, path, query).then(
      (reply) => send(response, reply),
      (cause: unknown) => send(response, line(500, String(cause))),
    );
  });
  server.maxConnections = connectionsMax;
  return server;
}

async function answer(source: OpsSource, path: string, query: string): Promise<Reply> {
  switch (path) {
    case "/livez":
      return line(200, "alive");
    case "/readyz": {
      const { isReady, reason } = source.readiness();
      return line(isReady ? 200 : 503, reason);
    }
    case "/gslb/ready": {
      const { isOpen, verdict } = source.region();
      return line(isOpen ? 200 : 503, `${verdict.standing}: ${verdict.reason}`);
    }
    case "/gslb/weight":
      return line(200, String(source.region().verdict.weight));
    case "/gslb/state":
      return regionState(source.region());
    case "/metrics":
      return { status: 200, type: source.metricsType, body: await source.metrics() };
    case "/decisions": {
      const { status, value } = await source.decisions.latest(
        new URLSearchParams(query).get("limit"),
      );
      return json(status, value);
    }
    default: {
      const [, id] = /^\/decisions\/([\w.:-]{1,128})$/.exec(path) ?? [];
      if (id === undefined) return line(404, `there are ${paths}`);
      const { status, value } = await source.decisions.one(id);
      return json(status, value);
    }
  }
}

function regionState(reading: RegionReading): Reply {
  const { isStale, live, region, revision, since, verdict } = reading;
  const { standing: state, weight, reason } = verdict;
  const body = { region, state, weight, since, revision, stale: isStale, reason, live };
  return json(200, body);
}

function json(status: number, value: unknown): Reply {
  return { status, type: "application/json", body: `${JSON.stringify(value)}\n` };
}

function line(status: number, text: string): Reply {
  return { status, type: "text/plain; charset=utf-8", body: `${text}\n` };
}

function send(response: ServerResponse, reply: Reply): void {
  response.writeHead(reply.status, { "content-type": reply.type, "cache-control": "no-store" });
  response.end(reply.body);
}
