// The grammar of `meridian status`, `drain`, `undrain`, `version`: what runs, and orders to leave. What they do is loaded
// when one of them runs.

import { Argument, Command } from "commander";
import type { Settle } from "./outcome.ts";
import type { Paint } from "./paint.ts";
import { type SharedFlags, withSharedFlags } from "./shared-flags.ts";

export type StatusFlags = SharedFlags & { readonly local?: true; readonly health?: true };

export type DrainFlags = SharedFlags & {
  readonly for: string;
  readonly reason: string;
  readonly force?: true;
};

export type Target = { readonly kind: "region" | "backend"; readonly name: string };

type Kind = Target["kind"];

export function fleetCommands(settle: Settle, paint: Paint): readonly Command[] {
  const acts = () => import("./run-fleet.ts");
  const status = withSharedFlags(
    new Command("status")
      .description("regions, control planes, proxies with their policy, backends")
      .option("--local", "only what the answering control plane sees itself")
      .option("--health", "the verdicts on backends, and the tests that they rest on"),
  ).action((flags: StatusFlags) => settle(acts().then(({ runStatus }) => runStatus(flags))));
  const drain = withSharedFlags(
    new Command("drain")
      .description("take a region or a backend out of service for a time; live streams finish")
      .addArgument(kindArgument())
      .argument("<name>", "which")
      .requiredOption("--for <time>", "30m, 2h, at most 1d; afterwards it ends by itself")
      .option("--reason <text>", "why, for the others", "")
      .option("--force", "also when nothing else is ready to take over"),
  ).action((kind: Kind, name: string, flags: DrainFlags) =>
    settle(acts().then(({ runDrain }) => runDrain({ kind, name }, flags, paint))),
  );
  const undrain = withSharedFlags(
    new Command("undrain")
      .description("end a drain before its time")
      .addArgument(kindArgument())
      .argument("<name>", "which"),
  ).action((kind: Kind, name: string, flags: SharedFlags) =>
    settle(acts().then(({ runUndrain }) => runUndrain({ kind, name }, flags))),
  );
  const version = withSharedFlags(
    new Command("version").description("the builds of this command and of the control plane"),
  ).action((flags: SharedFlags) => settle(acts().then(({ runVersion }) => runVersion(flags))));
  return [status, drain, undrain, version];
}

function kindArgument(): Argument {
  return new Argument("<kind>", "what it is").choices(["region", "backend"]);
}
