// What `meridian explain backend NAME` does: the verdict, the evidence, and what would change it.

import { AdminService, ExplainBackendResponseSchema } from "@meridian/proto/gen/admin_pb";
import { call } from "./connection.ts";
import type { ExplainFlags } from "./explain-command.ts";
import { exitCodes, failed, type Outcome } from "./outcome.ts";
import { printMessage } from "./print.ts";
import { oneLine } from "./printable.ts";
import { renderBackendHealth } from "./render-health.ts";
import { connectionOf } from "./shared-flags.ts";

export async function runExplainBackend(
  kind: string,
  name: string,
  flags: ExplainFlags,
): Promise<Outcome> {
  if (kind !== "backend" || flags.ops !== undefined) {
    const message =
      kind === "backend"
        ? "verdicts are the control plane's: --ops is for requests alone"
        : `"${oneLine(kind)}" can't be explained by name: meridian explain backend NAME`;
    return failed({ code: exitCodes.usage, message });
  }
  const answer = await call(connectionOf(flags), AdminService.method.explainBackend, { name });
  if (answer.kind === "err") return failed(answer.error);
  const { report, unreachedControlPlanes } = answer.value;
  const unreached =
    unreachedControlPlanes.length === 0
      ? ""
      : `not reached: ${oneLine(unreachedControlPlanes.join(", "))}\n`;
  const none = `nobody judges ${oneLine(name)} now: no proxy of its region reports on it\n`;
  const code = report === undefined ? exitCodes.refused : exitCodes.ok;
  const notes = report === undefined ? none + unreached : "";
  if (flags.output === "text") {
    return {
      code,
      out: report === undefined ? "" : renderBackendHealth(report, Date.now()),
      notes,
    };
  }
  return {
    code,
    out: await printMessage(flags.output, ExplainBackendResponseSchema, answer.value),
    notes,
  };
}
