// The command `meridian`.

import { CommanderError } from "commander";
import { exitCodes, type Outcome } from "./outcome.ts";
import { noPaint, terminalPaint } from "./paint.ts";
import { makeProgram } from "./program.ts";

async function settle(pending: Promise<Outcome>): Promise<void> {
  const { code, out, notes } = await pending;
  process.stdout.write(out);
  process.stderr.write(notes);
  process.exitCode = code;
}

// Who reads has seen enough: `meridian get | head -1`.
process.stdout.on("error", (cause) => {
  if (!("code" in cause && cause.code === "EPIPE")) throw cause;
});

// Problems go to stderr; https://no-color.org
const isColoured = process.stderr.isTTY === true && (process.env.NO_COLOR ?? "") === "";
const paint = isColoured ? terminalPaint : noPaint;
const program = makeProgram({ settle, paint, write: (text) => process.stdout.write(text) });

try {
  await program.parseAsync();
} catch (cause) {
  if (!(cause instanceof CommanderError)) throw cause;
  process.exitCode = cause.exitCode === 0 ? exitCodes.ok : exitCodes.usage;
}
