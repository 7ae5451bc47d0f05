// What `meridian status`, `drain`, `undrain` and `version` do.

import { toJson } from "@bufbuild/protobuf";
import { formatDuration, refuses } from "@meridian/proto/base";
import {
  AdminService,
  DrainResponseSchema,
  StatusResponseSchema,
  UndrainResponseSchema,
} from "@meridian/proto/gen/admin_pb";
import { type Node, NodeSchema } from "@meridian/proto/gen/sync_pb";
import { call } from "./connection.ts";
import { parseDuration } from "./durations.ts";
import type { DrainFlags, StatusFlags, Target } from "./fleet-commands.ts";
import { done, exitCodes, failed, type Outcome } from "./outcome.ts";
import type { Paint } from "./paint.ts";
import { printMessage, printValue } from "./print.ts";
import { oneLine } from "./printable.ts";
import { renderProblems, renderStatus } from "./render.ts";
import { renderHealth } from "./render-health.ts";
import { connectionOf, type SharedFlags } from "./shared-flags.ts";

export async function runStatus(flags: StatusFlags): Promise<Outcome> {
  const request = { localOnly: flags.local === true };
  const answer = await call(connectionOf(flags), AdminService.method.status, request);
  if (answer.kind === "err") return failed(answer.error);
  if (flags.output === "text") {
    const isHealth = flags.health === true;
    return done(isHealth ? renderHealth(answer.value) : renderStatus(answer.value, Date.now()));
  }
  return done(await printMessage(flags.output, StatusResponseSchema, answer.value));
}

function what({ kind, name }: Target) {
  return kind === "region"
    ? ({ case: "region", value: name } as const)
    : ({ case: "backend", value: name } as const);
}

export async function runDrain(target: Target, flags: DrainFlags, paint: Paint): Promise<Outcome> {
  const seconds = parseDuration(flags.for);
  if (seconds.kind === "err") return failed({ code: exitCodes.usage, message: seconds.error });
  const answer = await call(connectionOf(flags), AdminService.method.drain, {
    what: what(target),
    forSeconds: seconds.value,
    reason: flags.reason,
    force: flags.force === true,
  });
  if (answer.kind === "err") return failed(answer.error);
  const { problems, untilMs } = answer.value;
  const code = refuses(problems) ? exitCodes.refused : exitCodes.ok;
  if (flags.output !== "text") {
    return {
      code,
      out: await printMessage(flags.output, DrainResponseSchema, answer.value),
      notes: "",
    };
  }
  const notes = renderProblems(problems, paint);
  if (code !== exitCodes.ok) return { code, out: "", notes };
  const left = formatDuration(Math.max(0, Number(untilMs) - Date.now()));
  return { code, out: `${target.kind} ${target.name} is drained for ${left}\n`, notes };
}

export async function runUndrain(target: Target, flags: SharedFlags): Promise<Outcome> {
  const request = { what: what(target) };
  const answer = await call(connectionOf(flags), AdminService.method.undrain, request);
  if (answer.kind === "err") return failed(answer.error);
  if (flags.output !== "text") {
    return done(await printMessage(flags.output, UndrainResponseSchema, answer.value));
  }
  const { kind, name } = target;
  const verdict = answer.value.ended ? "is no longer drained" : "was not drained";
  return done(`${kind} ${name} ${verdict}\n`);
}

/** The command's own version is told even where no control plane answers. */
export async function runVersion(flags: SharedFlags): Promise<Outcome> {
  const { default: manifest } = await import("../package.json", { with: { type: "json" } });
  const answer = await call(connectionOf(flags), AdminService.method.getVersion, {});
  const node = answer.kind === "ok" ? answer.value.node : undefined;
  const own = `meridian ${manifest.version}\n`;
  const out =
    flags.output === "text"
      ? `${own}${node === undefined ? "" : renderNode(node)}`
      : await printVersion(flags.output, manifest.version, node);
  return answer.kind === "ok" ? done(out) : { ...failed(answer.error), out };
}

function renderNode({ id, region, build }: Node): string {
  return `control plane ${oneLine(id)} in ${oneLine(region)}: ${oneLine(build)}\n`;
}

async function printVersion(
  format: "json" | "yaml",
  command: string,
  node: Node | undefined,
): Promise<string> {
  const controlPlane = node === undefined ? {} : { node: toJson(NodeSchema, node) };
  return printValue(format, { command, ...controlPlane });
}
