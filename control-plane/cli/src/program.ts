// The grammar of the command `meridian`: every command in one list.

import { Command } from "commander";
import { addCompletion } from "./completion.ts";
import { explainCommand } from "./explain-command.ts";
import { fleetCommands } from "./fleet-commands.ts";
import { exitCodes, type Settle } from "./outcome.ts";
import type { Paint } from "./paint.ts";
import { pkiCommand } from "./pki/commands.ts";
import { policyCommands } from "./policy-commands.ts";

const exitText = `
Exit codes:
  ${exitCodes.ok}  done
  ${exitCodes.refused}  refused, with every problem listed; or not found
  ${exitCodes.usage}  wrong options, or a file or certificate that can't be read
  ${exitCodes.unreachable}  no control plane could do it: out of reach, without its store, or too busy
  ${exitCodes.conflict}  another version is in force than --expected says
  ${exitCodes.denied}  the certificate is not accepted, or has not the right role`;

export type ProgramOptions = {
  readonly settle: Settle;
  readonly paint: Paint;
  readonly write: (text: string) => void;
};

/** A program that throws CommanderError instead of ending the process. */
export function makeProgram({ settle, paint, write }: ProgramOptions): Command {
  const program = new Command("meridian")
    .description("operate Meridian: policies, status, drains, single requests, certificates")
    .addHelpText("after", exitText);
  const commands = [
    ...policyCommands(settle, paint),
    ...fleetCommands(settle, paint),
    explainCommand(settle),
    pkiCommand(settle),
  ];
  for (const each of commands) program.addCommand(each);
  addCompletion(program, write);
  throwInsteadOfExit(program);
  return program;
}

function throwInsteadOfExit(command: Command): void {
  command.exitOverride();
  for (const each of command.commands) throwInsteadOfExit(each);
}
