// For tests: a data server in this process, before scripted model servers on ports of their own.

import { once } from "node:events";
import http, { type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { createEngine, type Engine } from "@meridian/data-core/engine";
import { seededRandom } from "@meridian/proto/base";
import { fixtureSnapshot } from "@meridian/proto/fixture";
import { afterEach } from "vitest";
import type { FinishedShadow, SkippedShadow } from "./data-server-options.ts";
import { createDataServer, type DataServer, type FinishedExchange, type PeerTls } from "./index.ts";

/** What a scripted model server does with one request. */
export type Script = (request: SeenRequest, response: ServerResponse) => void;

export type SeenRequest = {
  readonly method: string;
  readonly url: string;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: string;
  /** Resolves when the caller's connection is gone. */
  readonly closed: Promise<void>;
};

export type FakeUpstream = {
  readonly url: string;
  readonly seen: SeenRequest[];
  script: Script;
  readonly close: () => Promise<void>;
};

async function startUpstream(script: Script): Promise<FakeUpstream> {
  const seen: SeenRequest[] = [];
  const server = http.createServer((request, response) => {
    readAll(request).then((body) => {
      const closed = new Promise<void>((resolve) => response.once("close", () => resolve()));
      const { method = "", url = "", headers } = request;
      const entry = { method, url, headers, body, closed };
      seen.push(entry);
      upstream.script(entry, response);
    }, ignore);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const upstream: FakeUpstream = {
    url: `http://127.0.0.1:${portOf(server)}`,
    seen,
    script,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return upstream;
}

/** Starters whose servers end with the test that started them. Call it once in a test file. */
export function useBeds(): {
  readonly upstream: (script: Script) => Promise<FakeUpstream>;
  readonly bed: (options: BedOptions) => Promise<Bed>;
  readonly atEnd: (cleanup: () => Promise<void> | void) => void;
} {
  const cleanups: (() => Promise<void> | void)[] = [];
  afterEach(async () => {
    for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  });
  return {
    upstream: async (script) => {
      const started = await startUpstream(script);
      cleanups.push(started.close);
      return started;
    },
    bed: async (options) => {
      const started = await startBed(options);
      cleanups.push(started.close);
      return started;
    },
    atEnd: (cleanup) => void cleanups.push(cleanup),
  };
}

export type Bed = {
  readonly url: string;
  readonly peerPort: number;
  readonly engine: Engine;
  readonly server: DataServer;
  readonly finished: FinishedExchange[];
  readonly shadows: FinishedShadow[];
  readonly skips: SkippedShadow[];
  readonly close: () => Promise<void>;
};

export type BedOptions = {
  /** Default `eu`. */
  readonly region?: string;
  /** The policy in force; without one the server has none. */
  readonly document?: PolicyDocument;
  readonly peerTls?: PeerTls;
  readonly bodyBytesMax?: number;
  readonly uploadMs?: number;
};

async function startBed(options: BedOptions): Promise<Bed> {
  const { region = "eu" } = options;
  const random = seededRandom("bed");
  const engine = createEngine({ region: region, random });
  const finished: FinishedExchange[] = [];
  const shadows: FinishedShadow[] = [];
  const skips: SkippedShadow[] = [];
  const server = createDataServer({
    engine,
    random,
    clock: { now: () => performance.now(), wall: () => Date.now() },
    settings: {
      region: region,
      id: `proxy-${region}`,
      bodyBytesMax: options.bodyBytesMax ?? 1_048_576,
      ...(options.uploadMs === undefined ? {} : { uploadMs: options.uploadMs }),
    },
    peerTls: options.peerTls,
    logger: { debug: ignore, info: ignore, warn: ignore, error: ignore },
    metrics: {
      finished: (exchange) => finished.push(exchange),
      shadowed: (shadow) => shadows.push(shadow),
      shadowSkipped: (skipped) => skips.push(skipped),
    },
    decisions: { record: ignore },
  });
  if (options.document !== undefined) applyPolicy(engine, server, region, options.document);
  await server.clientApp.listen({ host: "127.0.0.1", port: 0 });
  await server.peerApp?.listen({ host: "127.0.0.1", port: 0 });
  return {
    url: `http://127.0.0.1:${portOf(server.clientApp.server)}`,
    peerPort: server.peerApp === undefined ? 0 : portOf(server.peerApp.server),
    engine,
    server,
    finished,
    shadows,
    skips,
    close: () => server.close(),
  };
}

export type PolicyDocument = { readonly [name: string]: JsonLike };

export function applyPolicy(
  engine: Engine,
  server: DataServer,
  region: string,
  document: PolicyDocument,
): void {
  const taken = engine.apply({ kind: "snapshot", snapshot: fixtureSnapshot(region, document) }, 0);
  if (taken.kind === "err") throw new Error(JSON.stringify(taken.error));
  server.refreshUpstreams();
}

/** One region `eu` with one model `m` on the given backends, under the name `upstream/m`. */
export function oneRegion(
  backends: readonly FakeUpstream[],
  route: { readonly [name: string]: JsonLike } = {},
): PolicyDocument {
  return {
    regions: [{ name: "eu" }],
    backends: backends.map((each, place) => backendOf(each, { name: `b${place}`, region: "eu" })),
    models: [{ name: "m", aliases: ["default"] }],
    routes: [{ name: "all", match: { models: ["*"] }, ...route }],
  };
}

/** A backend that serves model `m` under the name `upstream/m`. Its script is asked for requests alone, not for metrics. */
export function backendOf(
  upstream: FakeUpstream,
  place: { readonly name: string; readonly region: string; readonly assistantPrefix?: string },
): { [name: string]: JsonLike } {
  const { url } = upstream;
  return { ...place, url, serves: [{ model: "m", as: "upstream/m" }], metricsPath: "none" };
}

export type JsonLike = string | number | boolean | JsonLike[] | { [name: string]: JsonLike };

export type Reply = {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: string;
  /** The body ended as HTTP says it must. */
  readonly clean: boolean;
};

/** One request by Node's own client, which tells a cut body from a complete one. */
export function ask(
  url: string,
  options: {
    readonly method?: string;
    readonly headers?: http.OutgoingHttpHeaders;
    readonly body?: string | Buffer | object;
    /** Told of each part of the body as it comes. */
    readonly onData?: (soFar: string, request: http.ClientRequest) => void;
    readonly onSent?: (request: http.ClientRequest) => void;
  } = {},
): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const request = http.request(url, {
      method: options.method ?? (options.body === undefined ? "GET" : "POST"),
      headers: options.headers ?? {},
      agent: false,
    });
    request.on("error", reject);
    request.on("response", (response) => {
      let body = "";
      response.setEncoding("utf8");
      response.on("data", (part: string) => {
        body += part;
        options.onData?.(body, request);
      });
      const finish = (): void => {
        const { statusCode = 0, headers, complete } = response;
        resolve({ status: statusCode, headers, body, clean: complete });
      };
      response.on("close", finish);
      response.on("error", finish);
    });
    request.end(encode(options.body));
    options.onSent?.(request);
  });
}

function encode(body: string | Buffer | object | undefined): string | Buffer | undefined {
  if (body === undefined || typeof body === "string" || Buffer.isBuffer(body)) return body;
  return JSON.stringify(body);
}

async function readAll(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

function portOf(server: { address(): AddressInfo | string | null }): number {
  const address = server.address();
  return typeof address === "object" && address !== null ? address.port : 0;
}

function ignore(): void {
  // Nothing is said in tests.
}
