// What may happen is a value. What must not happen is an assert, and ends the process.

/** The outcome of something that may fail in an expected way. */
export type Result<T, E> = Ok<T> | Err<E>;

export type Ok<T> = { readonly kind: "ok"; readonly value: T };
export type Err<E> = { readonly kind: "err"; readonly error: E };

export function ok<T>(value: T): Ok<T> {
  return { kind: "ok", value };
}

export function err<E>(error: E): Err<E> {
  return { kind: "err", error };
}

/** Ends the process where a condition that the code itself guarantees does not hold. */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new AssertionError(message);
}

/** Closes a switch over a union: the compiler objects when a kind is not handled. */
export function assertNever(value: never): never {
  throw new AssertionError(`a kind that nobody handles: ${JSON.stringify(value)}`);
}

/** A defect of the program, never of its input. Nobody catches it. */
export class AssertionError extends Error {
  override readonly name = "AssertionError";
}
