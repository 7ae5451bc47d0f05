// Policy versions as people type them: EPOCH.SEQUENCE.

import { err, ok, type Result } from "@meridian/proto/base";

/** @example parseVersion("1.42") // → { epoch: 1n, sequence: 42n } */
export function parseVersion(
  text: string,
): Result<{ readonly epoch: bigint; readonly sequence: bigint }, string> {
  const found = /^(\d{1,18})\.(\d{1,18})$/.exec(text);
  const [, epoch, sequence] = found ?? [];
  if (epoch === undefined || sequence === undefined) {
    return err(`"${text}" is no version: EPOCH.SEQUENCE is needed, for instance 1.42`);
  }
  return ok({ epoch: BigInt(epoch), sequence: BigInt(sequence) });
}
