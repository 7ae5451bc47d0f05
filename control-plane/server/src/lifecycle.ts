// How the program ends: by a signal, with its parent, or because it can't start.

/** Why a start failed: exit code 3, and a message for a person. */
export class StartError extends Error {
  override readonly name = "StartError";
}

/** Runs `stop` once, at the first SIGTERM, SIGINT or end of the IPC parent, then ends the process with 0. */
export function endBySignal(stop: (reason: string) => Promise<void>): void {
  let isStopping = false;
  const end = (reason: string) => {
    // A second signal means it: no more waiting.
    if (isStopping) process.exit(0);
    isStopping = true;
    void stop(reason).then(() => process.exit(0));
  };
  process.on("SIGTERM", () => end("SIGTERM"));
  process.on("SIGINT", () => end("SIGINT"));
  if (process.channel !== undefined) process.once("disconnect", () => end("parent gone"));
}

/** Waits for work, but no longer than `limitMs`; what goes on beyond it is left to itself. */
export async function within(limitMs: number, work: Promise<unknown>): Promise<void> {
  const late = Promise.withResolvers<void>();
  const timer = setTimeout(late.resolve, limitMs);
  await Promise.race([work.then(() => undefined), late.promise]);
  clearTimeout(timer);
}
