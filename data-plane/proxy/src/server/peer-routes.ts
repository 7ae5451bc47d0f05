// What other regions' proxies ask beside sending requests on: how this region stands, and whether a request of the smallest
// kind is answered here. On the peer port alone.

import type { IncomingMessage } from "node:http";
import type { SmallestQuestion } from "@meridian/data-core/engine";
import { openai } from "@meridian/wire";
import type { FastifyInstance } from "fastify";
import { peerInferencePath, peerStatePath, renderPeerState } from "../paths/peer-state.ts";
import { advance } from "../pipeline.ts";
import type { ServerContext } from "./context.ts";
import { openExchange } from "./open-exchange.ts";

export function mountPeerRoutes(
  app: FastifyInstance,
  context: ServerContext,
  regionOf: (request: IncomingMessage) => string | undefined,
): void {
  app.get(peerStatePath, (_, reply) =>
    reply
      .type("application/json")
      .header("cache-control", "no-store")
      .send(renderPeerState(context.engine.outlooks(context.clock.now()))),
  );
  const nextQuestion = takeTurns(context);
  app.post(peerInferencePath, (request, reply) => {
    const question = nextQuestion();
    if (question === undefined) return reply.code(503).send({ error: "no model is served here" });
    reply.hijack();
    const { kind, body } = openai.renderCanary(question.model, question.ask);
    const arrivedFrom = regionOf(request.raw);
    const from = { kind, path: peerInferencePath, arrivedFrom, isSynthetic: true };
    const http = { request: request.raw, response: reply.raw };
    const exchange = openExchange(context, from, http);
    exchange.body = Buffer.from(body, "latin1");
    exchange.timing.run(context.clock.now());
    advance(exchange);
    return reply;
  });
}

/** Each model has its turn, so that all of them are known to be answered for other regions. */
function takeTurns({ engine }: ServerContext): () => SmallestQuestion | undefined {
  let turn = 0;
  return () => {
    const questions = engine.serving()?.smallest ?? [];
    turn += 1;
    return questions[turn % Math.max(1, questions.length)];
  };
}
