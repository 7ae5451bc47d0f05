// Health and metrics over plain HTTP, for whoever watches this process. Needs neither store nor policy to answer.

import { createServer, type Server, type ServerResponse } from "node:http";
import { type Address, err, ok, type Result } from "@meridian/proto/base";

export type OpsAnswers = {
  /** undefined: ready. Else what is still missing. */
  readonly notReady: () => string | undefined;
  readonly metrics: () => Promise<{ readonly contentType: string; readonly text: string }>;
};

export type OpsServer = { readonly port: number; readonly close: () => Promise<void> };

/** /livez (the process runs), /readyz (it has read the store and serves), /metrics. */
export async function startOpsServer(
  listen: Address,
  answers: OpsAnswers,
): Promise<Result<OpsServer, string>> {
  const server = createServer(
    { requestTimeout: 10_000, headersTimeout: 5_000 },
    (request, response) => {
      if (request.method !== "GET" && request.method !== "HEAD")
        return answer(response, 405, "GET only\n");
      switch (request.url?.split("?")[0]) {
        case "/livez":
          return answer(response, 200, "live\n");
        case "/readyz": {
          const missing = answers.notReady();
          return answer(response, missing === undefined ? 200 : 503, `${missing ?? "ready"}\n`);
        }
        case "/metrics":
          return void answerMetrics(response, answers);
        default:
          return answer(response, 404, "/livez /readyz /metrics\n");
      }
    },
  );
  server.maxConnections = 256;
  return listenOn(server, listen);
}

/** What a listening socket failed with, in one line. */
export function bindMessage(what: string, listen: Address, cause: unknown): string {
  const code = cause instanceof Error && "code" in cause ? cause.code : undefined;
  const place = `${listen.host}:${listen.port}`;
  if (code === "EADDRINUSE") {
    return `${what}: the port ${place} is taken; stop the program that has it, or name another`;
  }
  return `${what}: can't listen on ${place}: ${cause instanceof Error ? cause.message : String(cause)}`;
}

function listenOn(server: Server, listen: Address): Promise<Result<OpsServer, string>> {
  const { promise, resolve } = Promise.withResolvers<Result<OpsServer, string>>();
  server.once("error", (cause) => resolve(err(bindMessage("MERIDIAN_OPS_LISTEN", listen, cause))));
  server.listen(listen.port, listen.host, () => {
    const bound = server.address();
    const port = typeof bound === "object" && bound !== null ? bound.port : listen.port;
    const close = async () => {
      const closed = Promise.withResolvers<void>();
      server.close(() => closed.resolve());
      server.closeAllConnections();
      await closed.promise;
    };
    resolve(ok({ port, close }));
  });
  return promise;
}

function answer(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, { "content-type": "text/plain; charset=utf-8" }).end(text);
}

async function answerMetrics(response: ServerResponse, answers: OpsAnswers): Promise<void> {
  const { contentType, text } = await answers.metrics();
  response.writeHead(200, { "content-type": contentType }).end(text);
}
