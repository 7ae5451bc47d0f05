// What `meridian explain` does: asks the fleet by way of a control plane, or one proxy directly.

import { fromJson, type JsonValue } from "@bufbuild/protobuf";
import { err, ok, type Result } from "@meridian/proto/base";
import {
  AdminService,
  type ExplainResponse,
  ExplainResponseSchema,
} from "@meridian/proto/gen/admin_pb";
import { call } from "./connection.ts";
import type { ExplainFlags } from "./explain-command.ts";
import { exitCodes, type Failure, failed, type Outcome } from "./outcome.ts";
import { printMessage } from "./print.ts";
import { oneLine } from "./printable.ts";
import { renderDecisions, renderUnanswered } from "./render-decision.ts";
import { connectionOf } from "./shared-flags.ts";

/** As the proxies take them; also what may stand in a path. */
const idForm = /^[\w.:-]{1,128}$/;

export async function runExplain(id: string, flags: ExplainFlags): Promise<Outcome> {
  if (!idForm.test(id)) {
    const message = `"${oneLine(id)}" is no id of a decision or a request (x-meridian-decision)`;
    return failed({ code: exitCodes.usage, message });
  }
  const answer =
    flags.ops === undefined
      ? await call(connectionOf(flags), AdminService.method.explain, { id })
      : await askProxy(flags.ops, id, flags.timeout * 1_000);
  if (answer.kind === "err") return failed(answer.error);
  const { records } = answer.value;
  const isFound = records.length > 0;
  const code = isFound ? exitCodes.ok : exitCodes.refused;
  const notes = renderUnanswered(id, answer.value);
  if (flags.output === "text") return { code, out: renderDecisions(records), notes };
  const out = await printMessage(flags.output, ExplainResponseSchema, answer.value);
  return { code, out, notes };
}

async function askProxy(
  ops: string,
  id: string,
  timeoutMs: number,
): Promise<Result<ExplainResponse, Failure>> {
  const url = URL.canParse(ops) ? new URL(`/decisions/${id}`, ops) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol)) {
    const message = `"${oneLine(ops)}" is no address: --ops http://HOST:PORT is needed`;
    return err({ code: exitCodes.usage, message });
  }
  try {
    const signal = AbortSignal.timeout(timeoutMs);
    const answer = await fetch(url, { signal, redirect: "error" });
    // 404 is an answer, too: its body says how far back the proxy remembers.
    // Checked by fromJson.
    const value = (await answer.json()) as JsonValue;
    return ok(fromJson(ExplainResponseSchema, value, { ignoreUnknownFields: true }));
  } catch (cause) {
    const reason = cause instanceof Error && cause.cause instanceof Error ? cause.cause : cause;
    const hint = "is that the operations port of a proxy?";
    const message = `${url.origin} gave no decision records; ${hint} (${oneLine(String(reason))})`;
    return err({ code: exitCodes.unreachable, message });
  }
}
