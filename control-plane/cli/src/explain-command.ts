// The grammar of `meridian explain`. What it does is loaded when it runs.

import { Command } from "commander";
import type { Settle } from "./outcome.ts";
import { type SharedFlags, withSharedFlags } from "./shared-flags.ts";

export type ExplainFlags = SharedFlags & { readonly ops?: string };

export function explainCommand(settle: Settle): Command {
  return withSharedFlags(
    new Command("explain")
      .description("why a request went where it went, or why a backend is given what it is")
      .argument("<id>", "the answer's header x-meridian-decision or x-request-id; or: backend")
      .argument("[name]", "after backend: which one")
      .option("--ops <url>", "ask one proxy's operations port, without a control plane"),
  ).action((id: string, name: string | undefined, flags: ExplainFlags) =>
    settle(
      name === undefined
        ? import("./run-explain.ts").then(({ runExplain }) => runExplain(id, flags))
        : import("./run-explain-backend.ts").then(({ runExplainBackend }) =>
            runExplainBackend(id, name, flags),
          ),
    ),
  );
}
