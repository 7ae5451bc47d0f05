// What `meridian validate`, `apply` and `get` do: a document to the control plane, and its answer to an outcome.

import { type Problem, refuses } from "@meridian/proto/base";
import {
  AdminService,
  type ApplyResponse,
  ApplyResponseSchema,
  type Change,
  ValidateResponseSchema,
} from "@meridian/proto/gen/admin_pb";
import { formatVersion } from "@meridian/proto/snapshot";
import { call } from "./connection.ts";
import { done, exitCodes, failed, type Outcome } from "./outcome.ts";
import type { Paint } from "./paint.ts";
import type { ApplyFlags, GetFlags, ValidateFlags } from "./policy-commands.ts";
import { printMessage, printValue } from "./print.ts";
import { oneLine } from "./printable.ts";
import { type DocumentFault, readDocument } from "./read-document.ts";
import { renderChanges, renderProblems } from "./render.ts";
import { connectionOf, type SharedFlags } from "./shared-flags.ts";
import { parseVersion } from "./versions.ts";

export async function runValidate(flags: ValidateFlags, paint: Paint): Promise<Outcome> {
  const document = await readDocument(flags.file);
  if (document.kind === "err") return refuseDocument(document.error, flags, paint);
  const request = { document: document.value };
  const answer = await call(connectionOf(flags), AdminService.method.validate, request);
  if (answer.kind === "err") return failed(answer.error);
  const { problems, changes } = answer.value;
  const code = refuses(problems) ? exitCodes.refused : exitCodes.ok;
  if (flags.output !== "text") {
    const out = await printMessage(flags.output, ValidateResponseSchema, answer.value);
    return { code, out, notes: "" };
  }
  const verdict = code === exitCodes.ok ? wouldChange(changes) : refusedNote(problems);
  return {
    code,
    out: renderChanges(changes),
    notes: `${renderProblems(problems, paint)}${verdict}`,
  };
}

function wouldChange(changes: readonly Change[]): string {
  return changes.length === 0 ? "valid; it changes nothing\n" : "valid; nothing was applied\n";
}

function refusedNote(problems: readonly Problem[]): string {
  const count = problems.filter((each) => !each.warning).length;
  return `the policy is refused: ${count} ${count === 1 ? "problem" : "problems"}; nothing was changed\n`;
}

export async function runApply(flags: ApplyFlags, paint: Paint): Promise<Outcome> {
  const expected = flags.expected === undefined ? undefined : parseVersion(flags.expected);
  if (expected?.kind === "err") return failed({ code: exitCodes.usage, message: expected.error });
  const document = await readDocument(flags.file);
  if (document.kind === "err") return refuseDocument(document.error, flags, paint);
  const request = {
    document: document.value,
    reason: flags.reason,
    ...(expected === undefined ? {} : { expected: expected.value }),
  };
  const answer = await call(connectionOf(flags), AdminService.method.apply, request);
  if (answer.kind === "err") return failed(answer.error);
  const code = applyCode(answer.value);
  if (flags.output !== "text") {
    const out = await printMessage(flags.output, ApplyResponseSchema, answer.value);
    return { code, out, notes: "" };
  }
  return { code, ...renderApply(answer.value, paint) };
}

/** Whether an apply was refused, and because of somebody else's. */
export function applyCode({ problems }: ApplyResponse): Outcome["code"] {
  if (problems.some((each) => each.code === "conflict")) return exitCodes.conflict;
  return refuses(problems) ? exitCodes.refused : exitCodes.ok;
}

function renderApply(answer: ApplyResponse, paint: Paint): Pick<Outcome, "out" | "notes"> {
  const { problems, changes, version, unchanged } = answer;
  const told = renderProblems(problems, paint);
  const shown = renderChanges(changes);
  if (applyCode(answer) === exitCodes.conflict) {
    const others = shown === "" ? "" : `changed since by others:\n${shown}`;
    const verdict = "nothing was changed: get the policy in force and decide again\n";
    return { out: "", notes: `${told}${others}${verdict}` };
  }
  if (version === undefined) return { out: "", notes: `${told}${refusedNote(problems)}` };
  const name = formatVersion(version);
  const verdict = unchanged ? `unchanged: ${name} is in force\n` : `applied ${name}\n`;
  return { out: `${shown}${verdict}`, notes: told };
}

async function refuseDocument(
  fault: DocumentFault,
  flags: SharedFlags,
  paint: Paint,
): Promise<Outcome> {
  if (fault.kind === "failure") return failed(fault.failure);
  const { problems } = fault;
  if (flags.output !== "text") {
    return {
      code: exitCodes.refused,
      out: await printValue(flags.output, { problems }),
      notes: "",
    };
  }
  const notes = `${renderProblems(problems, paint)}${refusedNote(problems)}`;
  return { code: exitCodes.refused, out: "", notes };
}

export async function runGet(flags: GetFlags): Promise<Outcome> {
  const version = flags.version === undefined ? undefined : parseVersion(flags.version);
  if (version?.kind === "err") return failed({ code: exitCodes.usage, message: version.error });
  const request = version === undefined ? {} : { version: version.value };
  const answer = await call(connectionOf(flags), AdminService.method.get, request);
  if (answer.kind === "err") return failed(answer.error);
  const { document, author, reason, appliedMs } = answer.value;
  // The control plane keeps documents as JSON.
  const value: unknown = JSON.parse(new TextDecoder().decode(document));
  const applied = `${formatVersion(answer.value.version)}, ${new Date(Number(appliedMs)).toISOString()}`;
  const why = [author, reason].filter((each) => each !== "").join(": ");
  if (flags.output === "json") return done(await printValue("json", value));
  const comment =
    flags.output === "text" ? `# ${applied}${why === "" ? "" : `, ${oneLine(why)}`}\n` : "";
  return done(`${comment}${await printValue("yaml", value)}`);
}
