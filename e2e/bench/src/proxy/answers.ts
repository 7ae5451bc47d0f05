// Waits until a program that was just started answers.

const pollMs = 25;
const timeoutMs = 60_000;

/** Resolves when the URL answers with any status below 500; rejects after a minute. */
export async function answersInTime(url: string): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!(await answers(url))) {
    if (performance.now() > deadline) throw new Error(`${url} does not answer`);
    await new Promise((resolve) => setTimeout(resolve, pollMs));
  }
}

async function answers(url: string): Promise<boolean> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(1_000) });
    await response.arrayBuffer();
    return response.status < 500;
  } catch {
    // Not listening yet.
    return false;
  }
}
