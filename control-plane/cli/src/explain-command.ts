// The grammar of `meridian explain`. What it does is loaded when it runs.

import { Command } from "commander";
import type { Settle } from "./outcome.ts";
import { type SharedFlags, withSharedFlags } from "./shared-flags.ts";

export type ExplainFlags = SharedFlags & { readonly ops?: string };

export function explainCommand(settle: Settle): Command {
  return withSharedFlags(
    new Command("explain")
      .description("why a request went where it went, attempt by attempt")
      .argument("<id>", "the answer's header x-meridian-decision, or x-request-id")
      .option("--ops <url>", "ask one proxy's operations port, without a control plane"),
  ).action((id: string, flags: ExplainFlags) =>
    settle(import("./run-explain.ts").then(({ runExplain }) => runExplain(id, flags))),
  );
}
