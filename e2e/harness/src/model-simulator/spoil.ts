// What becomes of a response that a fault meets: instead of the answer, or within it.

import type { ServerResponse } from "node:http";
import { type Fault, oversizeBytes, type TokenFault } from "./faults.ts";
import type { SeenRequest } from "./request-log.ts";
import type { Failure, Reply, Surface } from "./surface.ts";

/** So often a stalled stream with pings says that it lives. */
const pingEveryMs = 40;

export type Refusable = {
  readonly response: ServerResponse;
  readonly surface: Pick<Surface, "error">;
  readonly seen: SeenRequest;
};

/** Answers an error in the surface's own shape. */
export function refuse(to: Refusable, failure: Failure, retryAfterSeconds?: number): void {
  to.seen.status = failure.status;
  if (to.seen.outcome === "open") to.seen.outcome = "failed";
  if (retryAfterSeconds !== undefined) to.response.setHeader("retry-after", retryAfterSeconds);
  sendJson(to.response, failure.status, to.surface.error(failure));
}

/** A fault that takes the answer's place altogether; false when this one leaves the request to go on. */
export function meetWhole(
  to: Refusable & { readonly surface: Surface },
  fault: Fault | undefined,
): boolean {
  const { response, surface, seen } = to;
  const streamHead = { "content-type": surface.streamType };
  switch (fault?.kind) {
    case "status":
      seen.outcome = "fault:status";
      refuse(to, { ...simulated(fault.status), ...codeOf(fault.code) }, fault.retryAfterSeconds);
      return true;
    case "close-when-reused":
      seen.ending = "cut";
      response.socket?.destroy();
      break;
    case "reset-before-headers":
      cut(response, seen);
      break;
    case "stall-before-headers":
      break;
    case "reset-after-headers":
      response.writeHead(200, streamHead);
      response.flushHeaders();
      cut(response, seen);
      break;
    case "empty-stream":
      response.writeHead(200, streamHead).end();
      break;
    case "empty-body":
      response.writeHead(200, { ...streamHead, "content-length": 0 }).end();
      break;
    case "error-body":
      sendJson(response, 200, surface.error(simulated(500)));
      break;
    case "wrong-content-type":
      response.writeHead(200, { "content-type": "text/html; charset=utf-8" });
      response.end("<html><body>It works!</body></html>");
      break;
    default:
      return false;
  }
  seen.outcome = `fault:${fault.kind}`;
  return true;
}

/** Where an answer is when its fault comes. */
export type Spot = {
  readonly response: ServerResponse;
  readonly surface: Surface;
  readonly seen: SeenRequest;
  readonly reply: Reply;
  readonly stream: boolean;
  /** What a whole answer has until here; empty in a stream. */
  readonly body: string;
};

/** Ends or stalls an answer as the fault says. */
export function spoil(spot: Spot, fault: TokenFault): void {
  const { surface, response, seen, stream, body } = spot;
  const broken = stream ? surface.brokenFrame : '{"id":"broken","choi';
  switch (fault.kind) {
    case "reset-at-token":
      if (body !== "") response.write(body);
      cut(response, seen);
      return;
    case "end-at-token":
      response.end(body);
      return;
    case "end-in-frame-at-token":
      response.end(stream ? surface.brokenFrame.trimEnd() : body);
      return;
    case "stall-at-token":
      if (body !== "") response.write(body);
      return;
    case "pings-at-token":
      ping(spot);
      return;
    case "error-at-token":
      if (stream) response.end(surface.errorFrame("a simulated failure"));
      else if (response.headersSent) response.end(JSON.stringify(surface.error(simulated(500))));
      else refuse(spot, simulated(500));
      return;
    case "malformed-at-token":
      response.end(broken);
      return;
    case "oversize-at-token":
      response.end(surface.token(spot.reply, "x".repeat(oversizeBytes)));
  }
}

/** Signs of life until the client leaves. Spaces are nothing in JSON. */
function ping({ surface, response, reply, stream, body }: Spot): void {
  const signs = stream ? surface.heartbeats(reply) : [" "];
  let turn = 0;
  if (body !== "") response.write(body);
  const timer = setInterval(() => {
    response.write(signs[turn % signs.length] ?? "");
    turn += 1;
  }, pingEveryMs);
  response.on("close", () => clearInterval(timer));
}

/** Resets the connection once what was written has left. */
function cut(response: ServerResponse, seen: SeenRequest): void {
  seen.ending = "cut";
  setImmediate(() => response.socket?.resetAndDestroy());
}

/** Writes the last of a stream and resets the connection instead of ending the response. */
export function writeAndCut(response: ServerResponse, seen: SeenRequest, last: string): void {
  response.write(last);
  cut(response, seen);
}

function simulated(status: number): Failure {
  return { status, message: "a simulated failure", code: "simulated_error" };
}

function codeOf(code: string | undefined): Partial<Failure> {
  return code === undefined ? {} : { code };
}

export function sendJson(response: ServerResponse, status: number, value: unknown): void {
  const text = JSON.stringify(value);
  response.writeHead(status, {
    "content-type": "application/json; charset=utf-8",
    "content-length": Buffer.byteLength(text),
  });
  response.end(text);
}
