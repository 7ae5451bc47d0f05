// Waiting in a bench: by asking, with a deadline.

/** true as soon as `done` says so; false when it does not within the time. */
export async function settles(done: () => boolean, timeoutMs: number): Promise<boolean> {
  const deadlineMs = performance.now() + timeoutMs;
  while (!done()) {
    if (performance.now() > deadlineMs) return false;
    await pauseMs(10);
  }
  return true;
}

export function pauseMs(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
