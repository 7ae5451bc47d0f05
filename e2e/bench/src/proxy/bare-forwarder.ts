// The yardstick: the least that a forwarder on Node does. Fastify with a raw body, reply.hijack(), parse the JSON,
// choose an upstream, undici dispatch, pass on what comes. No keys, no policy, no failover, no records.

import type { OutgoingHttpHeaders, ServerResponse } from "node:http";
import Fastify from "fastify";
import { type Dispatcher, Pool } from "undici";
import type { FromForwarder } from "./messages.ts";
import { models } from "./workload.ts";

const pools = process.argv.slice(2).map(
  (port) =>
    new Pool(`http://127.0.0.1:${port}`, {
      pipelining: 1,
      headersTimeout: 0,
      bodyTimeout: 0,
      allowH2: false,
    }),
);
/** As a table of routes would have it: which upstreams serve which model. */
const poolsByModel = new Map(models.map((model) => [model as string, pools]));
let turn = 0;

class Forwarding implements Dispatcher.DispatchHandler {
  readonly #response: ServerResponse;
  #controller: Dispatcher.DispatchController | undefined;

  constructor(response: ServerResponse) {
    this.#response = response;
    response.on("close", () => {
      if (!response.writableFinished) this.#controller?.abort(new Error("the client left"));
    });
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
  }

  onResponseStart(
    _: Dispatcher.DispatchController,
    status: number,
    headers: { readonly [name: string]: string | string[] | undefined },
  ): void {
    const passed: OutgoingHttpHeaders = {};
    const type = headers["content-type"];
    const length = headers["content-length"];
    if (typeof type === "string") passed["content-type"] = type;
    if (typeof length === "string") passed["content-length"] = length;
    this.#response.writeHead(status, passed);
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#response.write(chunk)) return;
    controller.pause();
    this.#response.once("drain", () => controller.resume());
  }

  onResponseEnd(): void {
    this.#response.end();
  }

  onResponseError(): void {
    if (this.#response.headersSent) this.#response.destroy();
    else this.#response.writeHead(502).end();
  }
}

const app = Fastify({ logger: false, bodyLimit: 33_554_432 });
app.removeAllContentTypeParsers();
app.addContentTypeParser("*", { parseAs: "buffer" }, (_request, body, done) => done(null, body));
app.get("/health", () => "ok");
app.post("/v1/chat/completions", (request, reply) => {
  reply.hijack();
  // The raw-body parser above gives it so.
  const body = request.body as Buffer;
  const { model } = JSON.parse(body.toString());
  const candidates = poolsByModel.get(model);
  if (candidates === undefined) {
    reply.raw.writeHead(404).end();
    return;
  }
  turn = (turn + 1) % candidates.length;
  candidates[turn]?.dispatch(
    {
      path: "/v1/chat/completions",
      method: "POST",
      headers: { "content-type": "application/json" },
      body,
    },
    new Forwarding(reply.raw),
  );
});
process.on("disconnect", () => process.exit(0));
await app.listen({ port: 0, host: "127.0.0.1" });
const address = app.server.address();
const listening: FromForwarder = {
  kind: "listening",
  port: typeof address === "object" && address !== null ? address.port : 0,
};
process.send?.(listening);
