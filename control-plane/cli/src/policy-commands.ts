// The grammar of `meridian validate`, `apply`, `get`. What they do is loaded when one of them runs: it needs gRPC.

import { Command } from "commander";
import type { Settle } from "./outcome.ts";
import type { Paint } from "./paint.ts";
import { type SharedFlags, withSharedFlags } from "./shared-flags.ts";

export type ValidateFlags = SharedFlags & { readonly file: string };

export type ApplyFlags = ValidateFlags & {
  readonly expected?: string;
  readonly reason: string;
  readonly dryRun?: true;
};

export type GetFlags = SharedFlags & { readonly version?: string };

export function policyCommands(settle: Settle, paint: Paint): readonly Command[] {
  const acts = () => import("./run-policy.ts");
  const validate = withSharedFlags(
    new Command("validate")
      .description("check a policy and say what it would change; changes nothing")
      .requiredOption("-f, --file <file>", "YAML or JSON; - is standard input"),
  ).action((flags: ValidateFlags) =>
    settle(acts().then(({ runValidate }) => runValidate(flags, paint))),
  );
  const apply = withSharedFlags(
    new Command("apply")
      .description("check a policy and put it in force in all regions, or change nothing")
      .requiredOption("-f, --file <file>", "YAML or JSON; - is standard input")
      .option("--expected <version>", "refuse unless this version is in force, for instance 1.42")
      .option("--reason <text>", "why, for the history", "")
      .option("--dry-run", "the same as validate"),
  ).action((flags: ApplyFlags) =>
    settle(
      acts().then(({ runApply, runValidate }) =>
        flags.dryRun === true ? runValidate(flags, paint) : runApply(flags, paint),
      ),
    ),
  );
  const get = withSharedFlags(
    new Command("get")
      .description("print the policy in force, or a former one, as a document to apply")
      .option("--version <version>", "a former version, for instance 1.42"),
  ).action((flags: GetFlags) => settle(acts().then(({ runGet }) => runGet(flags))));
  return [validate, apply, get];
}
