// Two scripted upstreams in one light process: each answers as the prompt says, and tells its parent of every call's
// end with the time. Ends with its parent.

import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { machineMs } from "../policy/fan-out-messages.ts";
import { type FromUpstream, type Script, scriptIn } from "./script.ts";
import { UpstreamAnswer } from "./upstream-answer.ts";

/** Ids whose calls are counted; a request is over long before it is forgotten. */
const countedMax = 50_000;

/** So long an idle connection stays open; it is told to the proxy, which gives it up a little sooner. */
const idleMs = 3_000;

const callsOf = new Map<string, number>();

process.on("disconnect", () => process.exit(0));
const ports = await Promise.all([0, 1].map(listen));
tell({ kind: "listening", ports });

async function listen(place: number): Promise<number> {
  const options = { keepAliveTimeout: idleMs, noDelay: true };
  const server = createServer(options, (request, response) => take(place, request, response));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  // A server that listens on host and port has one.
  return (server.address() as AddressInfo).port;
}

function take(place: number, request: IncomingMessage, response: ServerResponse): void {
  if (request.method !== "POST") {
    response.writeHead(200).end();
    return;
  }
  const chunks: Buffer[] = [];
  request.on("data", (chunk: Buffer) => chunks.push(chunk));
  request.on("end", () => answer(place, response, Buffer.concat(chunks).toString("utf8")));
  // A proxy that gives up while it uploads has asked nothing.
  request.on("error", () => undefined);
}

/** The proxy's requests are those of the load, with what the proxy adds. */
type Body = {
  readonly stream?: boolean;
  readonly stream_options?: { readonly include_usage?: boolean };
  readonly messages: readonly { readonly role: string; readonly content: string }[];
};

function answer(place: number, response: ServerResponse, text: string): void {
  // As above.
  const body = JSON.parse(text) as Body;
  const script = scriptIn(body.messages[0]?.content ?? "");
  const last = body.messages.at(-1);
  const number = count(script.id);
  tell({ kind: "begun", id: script.id, place });
  const begunAtMs = machineMs();
  new UpstreamAnswer({
    response,
    script,
    call: callScript(script, number),
    stream: body.stream === true,
    usageInStream: body.stream_options?.include_usage === true,
    prefix: last?.role === "assistant" ? last.content : "",
    onEnd: ({ tokens, end, complaint }) => {
      const endedAtMs = machineMs();
      const record = { id: script.id, place, begunAtMs, tokens, end, endedAtMs, complaint };
      tell({ kind: "ended", record });
    },
  }).begin();
}

function callScript(script: Script, number: number) {
  const written = script.calls[number];
  return written ?? { firstMs: script.calls.at(-1)?.firstMs ?? 0, fault: undefined };
}

/** How many calls a request had before. */
function count(id: string): number {
  const before = callsOf.get(id) ?? 0;
  callsOf.set(id, before + 1);
  const [oldest] = callsOf.keys();
  if (callsOf.size > countedMax && oldest !== undefined) callsOf.delete(oldest);
  return before;
}

function tell(message: FromUpstream): void {
  // The parent may be gone already; then "disconnect" ends the process.
  if (process.connected) process.send?.(message);
}
