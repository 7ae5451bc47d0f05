// News of a backend that should not wait for the next report: it fails, and more than by chance.

/** What was counted of a backend so far, and whether this proxy's fast path holds it out. */
export type NewsOfBackend = {
  readonly succeeded: number;
  readonly failed: number;
  readonly ejected: boolean;
};

/** One failure may be chance, and so may two where many requests are. */
const pressing = { failed: 2, share: 0.2 } as const;

/** `before`: as it was last reported; undefined: it never was. */
export function isPressing(before: NewsOfBackend | undefined, now: NewsOfBackend): boolean {
  if (now.ejected && before?.ejected !== true) return true;
  const failed = now.failed - (before?.failed ?? 0);
  const succeeded = now.succeeded - (before?.succeeded ?? 0);
  return failed >= pressing.failed && failed >= pressing.share * (failed + succeeded);
}
