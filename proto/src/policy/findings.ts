// Collects what is wrong with a document, up to a bound: a document of a million mistakes must not make an answer of a
// million problems.

import { type Problem, problem, warning } from "../base/index.ts";

/** Problems that are told one by one; of more only the number is told. */
const findingsMax = 1_000;
const crowdedFrom = 100;

export type Findings = {
  readonly refuse: (code: string, path: string, message: string, hint: string) => void;
  readonly warn: (code: string, path: string, message: string, hint: string) => void;
  /** true: so much is wrong that hints which take time to find are no longer worth it. */
  readonly isCrowded: () => boolean;
  /** Everything so far: what refuses first, then warnings, each in the order found. */
  readonly list: () => readonly Problem[];
};

export function createFindings(): Findings {
  const refusals: Problem[] = [];
  const warnings: Problem[] = [];
  let refusalsMore = 0;
  let warningsMore = 0;
  return {
    refuse: (code, path, message, hint) => {
      if (refusals.length < findingsMax) refusals.push(problem(code, path, message, hint));
      else refusalsMore += 1;
    },
    warn: (code, path, message, hint) => {
      if (warnings.length < findingsMax) warnings.push(warning(code, path, message, hint));
      else warningsMore += 1;
    },
    isCrowded: () => refusals.length >= crowdedFrom,
    list: () => [
      ...refusals,
      ...(refusalsMore > 0 ? [problem("too_many_problems", "", `and ${refusalsMore} more`)] : []),
      ...warnings,
      ...(warningsMore > 0 ? [warning("too_many_problems", "", `and ${warningsMore} more`)] : []),
    ],
  };
}

/** A value of the document for a message: quoted, on one line, never long. */
export function quote(text: string): string {
  const shown = text.length > 48 ? `${text.slice(0, 47)}…` : text;
  return JSON.stringify(shown);
}

/** Names for a hint: the first few of them. */
export function listNames(names: Iterable<string>): string {
  const shown: string[] = [];
  for (const name of names) {
    if (shown.length === 12) {
      shown.push("…");
      break;
    }
    shown.push(name);
  }
  return shown.length === 0 ? "there are none" : shown.join(", ");
}
