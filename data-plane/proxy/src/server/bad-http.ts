// What no request could be made of: broken HTTP, a head that is too large, an upload that takes too long. There is no
// response object for it, so the answer is written by hand, in the protocol's words, and the connection ends with it.

import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { type Problem, problem } from "@meridian/proto/base";
import type { ClientProtocol } from "@meridian/wire";
import { clientError } from "./refusals.ts";

type Fault = { readonly status: string; readonly problem: Problem };

const tooSlow: Fault = {
  status: "408 Request Timeout",
  problem: problem("upload_timeout", "", "the request took too long to come", "send it again"),
};
const tooLarge: Fault = {
  status: "431 Request Header Fields Too Large",
  problem: problem("headers_too_large", "", "the request's head is larger than this proxy takes"),
};
const broken: Fault = {
  status: "400 Bad Request",
  problem: problem("invalid_request", "", "this is no HTTP/1.1"),
};

/** The newest response of each connection. */
const responses = new WeakMap<Socket, ServerResponse>();

/** From now on `answerBadHttp` knows what this server is writing. */
export function watchAnswers(server: Pick<Server, "on">): void {
  server.on("request", (request: IncomingMessage, response: ServerResponse) => {
    responses.set(request.socket, response);
  });
}

/** Anything written now would stand within its body. */
function isAnswering(socket: Socket): boolean {
  const response = responses.get(socket);
  return response?.headersSent === true && !response.writableFinished;
}

/** Node's codes for what went wrong on a connection of a client. */
export function answerBadHttp(
  protocol: ClientProtocol,
  error: { readonly code: string },
  socket: Socket,
): void {
  const isDeaf = error.code === "ECONNRESET" || socket.destroyed || !socket.writable;
  if (isDeaf || isAnswering(socket)) {
    socket.destroy();
    return;
  }
  const fault = faultOf(error.code);
  const { body } = protocol.renderError(clientError("invalid-request", [fault.problem]));
  socket.write(
    `HTTP/1.1 ${fault.status}\r\ncontent-type: application/json; charset=utf-8\r\n` +
      `content-length: ${body.length}\r\nconnection: close\r\n\r\n${body}`,
    "latin1",
  );
  socket.destroySoon();
}

function faultOf(code: string): Fault {
  if (code === "ERR_HTTP_REQUEST_TIMEOUT") return tooSlow;
  return code === "HPE_HEADER_OVERFLOW" ? tooLarge : broken;
}
