// The switches for tests: GET/POST/DELETE /faults (DELETE of one: /faults/ID; of some: ?model=NAME, ?port=PORT) and
// GET/DELETE /requests (GET of some: ?model=NAME&port=PORT&after=NUMBER).

import type { IncomingMessage, ServerResponse } from "node:http";
import { type FaultRule, type FaultSet, isPortFault, parseFaultRule, rulesMax } from "./faults.ts";
import { readBody } from "./read-body.ts";
import type { RequestLog } from "./request-log.ts";
import { sendJson } from "./spoil.ts";

export type Switch = {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly faults: FaultSet;
  readonly log: RequestLog;
  /** Faults were added or taken back. */
  readonly onSwitch: () => void;
  /** There is a second port by which a fault of the port itself could be taken back. */
  readonly refusable: boolean;
};

/** false: the path is none of the switches. */
export function answerSwitch(to: Switch): boolean {
  const { pathname: path, searchParams: query } = new URL(
    to.request.url ?? "/",
    "http://localhost",
  );
  if (path === "/requests") answerRequests(to, query);
  else if (path === "/faults" || path.startsWith("/faults/")) answerFaults(to, path, query);
  else return false;
  return true;
}

function answerRequests({ request, response, log }: Switch, query: URLSearchParams): void {
  if (request.method === "DELETE") log.clear();
  const model = query.get("model") ?? undefined;
  const ports = query.getAll("port").map(Number);
  sendJson(response, 200, log.view({ model, ports, after: Number(query.get("after") ?? 0) }));
}

function answerFaults(to: Switch, path: string, query: URLSearchParams): void {
  const { request, response, faults } = to;
  if (request.method === "POST") {
    addFaults(to);
    return;
  }
  if (request.method === "DELETE") {
    const id = path.split("/")[2];
    const model = query.get("model") ?? undefined;
    const port = query.has("port") ? Number(query.get("port")) : undefined;
    if (model !== undefined || port !== undefined) faults.removeWhere({ model, port });
    else faults.remove(id === undefined || id === "" ? undefined : Number(id));
    to.onSwitch();
  }
  sendJson(response, 200, { faults: faults.list() });
}

/** All rules of the body or none. */
function addFaults({ request, response, faults, onSwitch, refusable }: Switch): void {
  readBody(request, (body) => {
    const values: readonly unknown[] =
      body.kind === "err" ? [] : Array.isArray(body.value) ? body.value : [body.value];
    const rules: FaultRule[] = [];
    const wrong: string[] = body.kind === "err" ? [body.error.message] : [];
    for (const value of values) {
      const parsed = parseFaultRule(value);
      if (parsed.kind === "ok") rules.push(parsed.value);
      else wrong.push(...parsed.error);
    }
    if (!refusable && rules.some((each) => isPortFault(each.fault))) {
      wrong.push("a port's fault: start with --control-port, or nobody could take it back");
    }
    if (faults.list().length + rules.length > rulesMax) wrong.push(`at most ${rulesMax} faults`);
    if (wrong.length > 0) {
      sendJson(response, 400, { errors: wrong });
      return;
    }
    for (const rule of rules) faults.add(rule);
    onSwitch();
    sendJson(response, 200, { faults: faults.list() });
  });
}
