// The command `meridian`.

import { Command, CommanderError } from "commander";
import { exitCodes, type Outcome } from "./outcome.ts";
import { pkiCommand } from "./pki/commands.ts";

async function settle(pending: Promise<Outcome>): Promise<void> {
  const { code, out, notes } = await pending;
  process.stdout.write(out);
  process.stderr.write(notes);
  process.exitCode = code;
}

const program = new Command("meridian")
  .description("operate Meridian: policies, drains, certificates")
  .exitOverride();
program.addCommand(pkiCommand(settle));

try {
  await program.parseAsync();
} catch (cause) {
  if (!(cause instanceof CommanderError)) throw cause;
  process.exitCode = cause.exitCode === 0 ? exitCodes.ok : exitCodes.usage;
}
