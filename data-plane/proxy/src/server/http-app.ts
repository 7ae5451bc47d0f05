// The HTTP servers: one for clients, one for other regions' proxies, with the same endpoints behind both.

import type { IncomingMessage, ServerResponse } from "node:http";
import https from "node:https";
import type { Socket } from "node:net";
import { TLSSocket } from "node:tls";
import type { RequestKind } from "@meridian/data-core/engine";
import { problem } from "@meridian/proto/base";
import { parseSubjectAltName } from "@meridian/proto/identity";
import type { ClientError } from "@meridian/wire";
import Fastify, {
  type ConnectionError,
  type FastifyError,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
} from "fastify";
import { advance } from "../pipeline.ts";
import type { PeerTls } from "../upstream/upstreams.ts";
import { authenticate } from "./authenticate.ts";
import { answerBadHttp, watchAnswers } from "./bad-http.ts";
import type { ServerContext } from "./context.ts";
import type { Exchange } from "./exchange.ts";
import { openExchange } from "./open-exchange.ts";
import { mountPeerRoutes } from "./peer-routes.ts";
import { clientError } from "./refusals.ts";
import { hop, ownHeaders } from "./wire-headers.ts";

const inference: readonly { readonly path: string; readonly kind: RequestKind }[] = [
  { path: "/chat/completions", kind: "chat" },
  { path: "/completions", kind: "completion" },
  { path: "/embeddings", kind: "embedding" },
];

/** Longer than the idle time of clients and balancers in front, so that they close first. */
const keepAliveMs = 75_000;
/** A request whose head and body take longer is given up. */
const uploadMs = 120_000;
/** How late that may be noticed. */
const uploadCheckMs = 15_000;

declare module "fastify" {
  interface FastifyRequest {
    /** Set while an inference request is under way. */
    exchange: Exchange | undefined;
  }
}

/** What the routes need to know of where a request comes in. */
type Entry = {
  readonly context: ServerContext;
  /** The region that a connection comes from; undefined on the clients' server. */
  readonly regionOf: (request: IncomingMessage) => string | undefined;
};

export function createClientApp(context: ServerContext): FastifyInstance {
  const app = Fastify({
    ...sharedOptions(context),
    keepAliveTimeout: keepAliveMs,
    ...uploadLimits(context),
  });
  return mount(app, { context, regionOf: () => undefined });
}

/** Takes connections of proxies alone; what comes in here is never sent to another region. */
export function createPeerApp(context: ServerContext, peerTls: PeerTls): FastifyInstance {
  const limits = uploadLimits(context);
  const app = Fastify({
    ...sharedOptions(context),
    serverFactory: (handler) =>
      https.createServer(
        {
          ...peerTls,
          requestCert: true,
          rejectUnauthorized: true,
          minVersion: "TLSv1.3",
          keepAliveTimeout: keepAliveMs,
          ...limits.http,
        },
        handler,
      ),
  });
  app.addHook("onRequest", (request, reply, done) => {
    if (peerRegion(request.raw) !== undefined) {
      done();
      return;
    }
    reply.hijack();
    const error = clientError("permission", [
      problem("not_a_proxy", "", "this port takes proxies of other regions alone"),
    ]);
    sendError(context, reply.raw, error);
  });
  mountPeerRoutes(app, context, peerRegion);
  return mount(app, { context, regionOf: peerRegion });
}

function sharedOptions(context: ServerContext): {
  readonly logger: false;
  readonly clientErrorHandler: (error: ConnectionError, socket: Socket) => void;
  readonly bodyLimit: number;
  readonly routerOptions: { readonly ignoreTrailingSlash: true; readonly maxParamLength: number };
} {
  return {
    logger: false,
    clientErrorHandler: (error, socket) => answerBadHttp(context.protocol, error, socket),
    bodyLimit: context.settings.bodyBytesMax,
    routerOptions: { ignoreTrailingSlash: true, maxParamLength: 1_024 },
  };
}

function uploadLimits({ settings }: ServerContext): {
  readonly requestTimeout: number;
  /** Node's own names; it takes the limit for heads from the one for requests here alone. */
  readonly http: { readonly requestTimeout: number; readonly connectionsCheckingInterval: number };
} {
  const requestTimeout = settings.uploadMs ?? uploadMs;
  const connectionsCheckingInterval = Math.min(uploadCheckMs, requestTimeout);
  return { requestTimeout, http: { requestTimeout, connectionsCheckingInterval } };
}

const regionBySocket = new WeakMap<object, string | undefined>();

/** The region in the certificate of a proxy; undefined for everybody else. Read once per connection. */
function peerRegion(request: IncomingMessage): string | undefined {
  const socket = request.socket;
  if (regionBySocket.has(socket)) return regionBySocket.get(socket);
  const certificate = socket instanceof TLSSocket ? socket.getPeerCertificate() : undefined;
  const identity = parseSubjectAltName(certificate?.subjectaltname);
  const region = identity?.role === "proxy" ? identity.region : undefined;
  regionBySocket.set(socket, region);
  return region;
}

function mount(app: FastifyInstance, entry: Entry): FastifyInstance {
  watchAnswers(app.server);
  app.decorateRequest("exchange", undefined);
  app.removeAllContentTypeParsers();
  app.addContentTypeParser("*", { parseAs: "buffer" }, (_request, body, done) => done(null, body));
  for (const prefix of ["/v1", ""]) {
    for (const { path, kind } of inference)
      mountInference(app, entry, { path: prefix + path, kind });
    mountModels(app, entry, `${prefix}/models`);
  }
  app.route({
    method: ["GET", "HEAD"],
    url: "/",
    handler: (_, reply) => sendText(reply, "meridian\n"),
  });
  app.options("*", (_, reply) => {
    reply.hijack();
    reply.raw.writeHead(204, { allow: "GET, HEAD, POST, OPTIONS" }).end();
  });
  app.setNotFoundHandler((request, reply) => {
    reply.hijack();
    const message = `there is no ${request.method} ${request.url.split("?")[0]?.slice(0, 200)}`;
    sendError(
      entry.context,
      reply.raw,
      clientError("not-found", [
        problem("unknown_url", "", message, "see POST /v1/chat/completions and GET /v1/models"),
      ]),
    );
  });
  app.setErrorHandler((error: FastifyError, _, reply) => {
    reply.hijack();
    sendError(entry.context, reply.raw, requestError(error));
  });
  return app;
}

function mountInference(
  app: FastifyInstance,
  { context, regionOf }: Entry,
  { path, kind }: { readonly path: string; readonly kind: RequestKind },
): void {
  app.route({
    method: "POST",
    url: path,
    // Who asks is settled before the body is read: strangers upload nothing.
    onRequest: (request, reply, done) => {
      const exchange = openExchange(
        context,
        { kind, path, arrivedFrom: regionOf(request.raw), isSynthetic: false },
        { request: request.raw, response: reply.raw },
      );
      request.exchange = exchange;
      advance(exchange);
      if (exchange.answer.started) reply.hijack();
      done();
    },
    handler: (request, reply) => {
      reply.hijack();
      const { exchange } = request;
      if (exchange === undefined) return;
      exchange.body = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0);
      exchange.timing.run(context.clock.now());
      advance(exchange);
    },
    errorHandler: (error, request, reply) => {
      reply.hijack();
      const { exchange } = request;
      if (exchange === undefined) return;
      // A body that breaks off is a client that left: there is nobody to tell.
      if (request.raw.destroyed && !request.raw.complete) exchange.ending = { kind: "client-gone" };
      else context.refuse(exchange, requestError(error));
      context.resume(exchange, "settle");
    },
  });
  app.route({
    method: ["GET", "PUT", "DELETE", "PATCH"],
    url: path,
    handler: (_, reply) => {
      reply.hijack();
      reply.raw.setHeader("allow", "POST, OPTIONS");
      const error = problem("method_not_allowed", "", "only POST is possible here");
      sendError(context, reply.raw, clientError("method-not-allowed", [error]));
    },
  });
}

function mountModels(app: FastifyInstance, { context }: Entry, path: string): void {
  app.route({
    method: ["GET", "HEAD"],
    url: path,
    handler: (request, reply) => {
      const names = modelsOf(context, request, reply);
      if (names !== undefined) sendJson(reply, context.protocol.renderModels(names));
    },
  });
  // A wildcard, as ids contain slashes and colons.
  app.route<{ Params: { "*": string } }>({
    method: ["GET", "HEAD"],
    url: `${path}/*`,
    handler: (request, reply) => {
      const names = modelsOf(context, request, reply);
      if (names === undefined) return;
      const id = request.params["*"];
      if (names.includes(id)) {
        sendJson(reply, context.protocol.renderModel(id));
        return;
      }
      const message = `the model ${JSON.stringify(id.slice(0, 200))} does not exist`;
      const found = problem("model_not_found", "model", message, `see GET ${path}`);
      sendError(context, reply.raw, clientError("model-not-found", [found]));
    },
  });
}

/** Models that the asker may use; undefined when the refusal has been sent. */
function modelsOf(
  context: ServerContext,
  request: FastifyRequest,
  reply: FastifyReply,
): readonly string[] | undefined {
  reply.hijack();
  const serving = context.engine.serving();
  if (serving === undefined) {
    const error = problem("not_ready", "", "this proxy has no policy yet");
    sendError(context, reply.raw, clientError("overloaded", [error]));
    return undefined;
  }
  const tenant = authenticate(serving, request.headers);
  if (tenant.kind === "ok") return serving.modelsFor(tenant.value);
  sendError(context, reply.raw, clientError("authentication", [tenant.error]));
  return undefined;
}

/** What Fastify refuses by itself, in the protocol's words. */
function requestError(error: FastifyError): ClientError {
  if (error.code === "FST_ERR_CTP_BODY_TOO_LARGE") {
    const message = "the body is larger than this proxy takes";
    return clientError("too-large", [problem("request_too_large", "", message, "send less")]);
  }
  const isClientFault = (error.statusCode ?? 500) < 500;
  return isClientFault
    ? clientError("invalid-request", [problem("invalid_request", "", error.message)])
    : clientError("internal", [problem("internal_error", "", "the proxy failed on this request")]);
}

function sendError(context: ServerContext, response: ServerResponse, error: ClientError): void {
  const rendered = context.protocol.renderError(error);
  response.writeHead(rendered.status, {
    ...rendered.headers,
    "content-length": rendered.body.length,
    "x-request-id": context.newRequestId(),
  });
  response.end(rendered.body, "latin1");
}

function sendJson(reply: FastifyReply, body: string): void {
  reply.raw.writeHead(200, {
    "content-type": "application/json; charset=utf-8",
    "content-length": body.length,
  });
  reply.raw.end(body, "latin1");
}

function sendText(reply: FastifyReply, body: string): void {
  reply.hijack();
  reply.raw.writeHead(200, { "content-type": "text/plain; charset=utf-8" }).end(body);
}

/** Refuses one exchange, in its protocol; towards other proxies with the word that lets them go elsewhere. */
export function refuseExchange(exchange: Exchange, error: ClientError, refusal: string): void {
  const { answer, context } = exchange;
  if (answer.gone || answer.started) return;
  exchange.errorCode = error.problems[0]?.code;
  exchange.timing.stop(context.clock.now());
  const rendered = context.protocol.renderError(error);
  const headers = ownHeaders(exchange);
  for (const [name, value] of Object.entries(rendered.headers)) headers.push(name, value);
  if (refusal === "") {
    answer.send(rendered.status, headers, rendered.body);
    return;
  }
  headers.push(hop.refusal, refusal);
  if (exchange.queueMs !== undefined) headers.push(hop.queue, String(exchange.queueMs));
  answer.send(503, headers, rendered.body);
}

/** Lets a running Node server be closed without waiting for idle connections. */
export function closeIdle(app: FastifyInstance | undefined): void {
  app?.server.closeIdleConnections();
}
