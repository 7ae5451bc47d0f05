// What a command comes to: a code for programs, text for people.

import type { Result } from "@meridian/proto/base";

/** Codes with which `meridian` exits; its --help lists them. */
export const exitCodes = {
  ok: 0,
  /** The policy or the order was refused, and every problem is listed; or nobody knows the request that was asked for. */
  refused: 1,
  /** Wrong options, or a file or certificate that can't be read. */
  usage: 2,
  /** No control plane could do it: out of reach, without its store, too busy, or failing. */
  unreachable: 3,
  /** Another policy is in force than the one expected. */
  conflict: 4,
  /** The certificate is not accepted, or has not the right role. */
  denied: 5,
} as const;

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

export type Outcome = {
  readonly code: ExitCode;
  /** For stdout, with its line ends. */
  readonly out: string;
  /** For stderr, with its line ends. */
  readonly notes: string;
};

/** Prints an outcome and notes its code. */
export type Settle = (outcome: Promise<Outcome>) => Promise<void>;

/** Why a step of a command can't go on. */
export type Failure = { readonly code: ExitCode; readonly message: string };

export function done(out: string, notes = ""): Outcome {
  return { code: exitCodes.ok, out, notes };
}

export function failed(failure: Failure): Outcome {
  return { code: failure.code, out: "", notes: `meridian: ${failure.message}\n` };
}

/** The value of a result, or the outcome of its failure. */
export async function attempt<T>(
  result: Promise<Result<T, Failure>>,
  use: (value: T) => Promise<Outcome> | Outcome,
): Promise<Outcome> {
  const settled = await result;
  return settled.kind === "ok" ? await use(settled.value) : failed(settled.error);
}
