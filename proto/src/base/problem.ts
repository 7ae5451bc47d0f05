// What is wrong with something that came from outside, said so that the sender can mend it.

/**
 * One finding about a document, a resource or a request.
 *
 * @example { code: "dangling_name", path: "routes[0].targets[1].model", message: "no model is named llama-7b",
 *            hint: "models are: llama-70b, llama-8b", warning: false }
 */
export type Problem = {
  /** Stable, machine-readable, snake_case; listed in docs/errors.md. */
  readonly code: string;
  /** Where, in the notation of the document; empty: the whole of it. */
  readonly path: string;
  readonly message: string;
  /** What to do next. */
  readonly hint: string;
  /** true: worth knowing, but refuses nothing. */
  readonly warning: boolean;
};

export function problem(code: string, path: string, message: string, hint = ""): Problem {
  return { code, path, message, hint, warning: false };
}

export function warning(code: string, path: string, message: string, hint = ""): Problem {
  return { code, path, message, hint, warning: true };
}

/** true when at least one problem is more than a warning. */
export function refuses(problems: readonly Problem[]): boolean {
  return problems.some((each) => !each.warning);
}

/** `code at path: message (hint)`, for a person's terminal or a log line. */
export function formatProblem(each: Problem): string {
  const place = each.path === "" ? "" : ` at ${each.path}`;
  const hint = each.hint === "" ? "" : ` (${each.hint})`;
  return `${each.code}${place}: ${each.message}${hint}`;
}
