// `meridian status`, `drain`, `undrain`, `version`: what runs, and orders to leave.

import { formatDuration, refuses } from "@meridian/proto/base";
import {
  AdminService,
  DrainResponseSchema,
  GetVersionResponseSchema,
  StatusResponseSchema,
  UndrainResponseSchema,
} from "@meridian/proto/gen/admin_pb";
import { Argument, Command } from "commander";
import { call } from "./connection.ts";
import { parseDuration } from "./durations.ts";
import { done, exitCodes, failed, type Outcome } from "./outcome.ts";
import type { Settle } from "./policy-commands.ts";
import { printMessage } from "./print.ts";
import { type Paint, renderProblems, renderStatus } from "./render.ts";
import { connectionOf, type SharedFlags, withSharedFlags } from "./shared-flags.ts";

type DrainFlags = SharedFlags & {
  readonly for: string;
  readonly reason: string;
  readonly force?: true;
};

type Kind = "region" | "backend";

export function fleetCommands(settle: Settle, paint: Paint): readonly Command[] {
  const status = withSharedFlags(
    new Command("status")
      .description("regions, control planes, proxies with their policy, backends")
      .option("--local", "only what the answering control plane sees itself"),
  ).action((flags: SharedFlags & { readonly local?: true }) => settle(runStatus(flags)));
  const drain = withSharedFlags(
    new Command("drain")
      .description("take a region or a backend out of service for a time; live streams finish")
      .addArgument(kindArgument())
      .argument("<name>", "which")
      .requiredOption("--for <time>", "30m, 2h, at most 1d; afterwards it ends by itself")
      .option("--reason <text>", "why, for the others", "")
      .option("--force", "also when nothing else is ready to take over"),
  ).action((kind: Kind, name: string, flags: DrainFlags) =>
    settle(runDrain({ kind, name }, flags, paint)),
  );
  const undrain = withSharedFlags(
    new Command("undrain")
      .description("end a drain before its time")
      .addArgument(kindArgument())
      .argument("<name>", "which"),
  ).action((kind: Kind, name: string, flags: SharedFlags) =>
    settle(runUndrain({ kind, name }, flags)),
  );
  const version = withSharedFlags(
    new Command("version").description("the builds of this command and of the control plane"),
  ).action((flags: SharedFlags) => settle(runVersion(flags)));
  return [status, drain, undrain, version];
}

function kindArgument(): Argument {
  return new Argument("<kind>", "what to drain").choices(["region", "backend"]);
}

async function runStatus(flags: SharedFlags & { readonly local?: true }): Promise<Outcome> {
  const request = { localOnly: flags.local === true };
  const answer = await call(connectionOf(flags), AdminService.method.status, request);
  if (answer.kind === "err") return failed(answer.error);
  if (flags.output === "text") return done(renderStatus(answer.value, Date.now()));
  return done(await printMessage(flags.output, StatusResponseSchema, answer.value));
}

type Target = { readonly kind: Kind; readonly name: string };

function what({ kind, name }: Target) {
  return kind === "region"
    ? ({ case: "region", value: name } as const)
    : ({ case: "backend", value: name } as const);
}

async function runDrain(target: Target, flags: DrainFlags, paint: Paint): Promise<Outcome> {
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

async function runUndrain(target: Target, flags: SharedFlags): Promise<Outcome> {
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

async function runVersion(flags: SharedFlags): Promise<Outcome> {
  const { default: manifest } = await import("../package.json", { with: { type: "json" } });
  const own = `meridian ${manifest.version}\n`;
  const answer = await call(connectionOf(flags), AdminService.method.getVersion, {});
  if (answer.kind === "err")
    return { ...failed(answer.error), out: flags.output === "text" ? own : "" };
  if (flags.output !== "text") {
    return done(await printMessage(flags.output, GetVersionResponseSchema, answer.value));
  }
  const node = answer.value.node;
  return done(
    `${own}control plane ${node?.id ?? "?"} in ${node?.region ?? "?"}: ${node?.build ?? "?"}\n`,
  );
}
