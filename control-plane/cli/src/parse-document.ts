// A policy's text, as YAML or JSON, to the JSON that a control plane takes. The caller bounds its size.

import { err, ok, type Problem, problem, type Result } from "@meridian/proto/base";
import {
  type Document,
  isScalar,
  LineCounter,
  parseAllDocuments,
  visit,
  type YAMLError,
  type YAMLMap,
} from "yaml";

/** Aliases that a document may unfold in all; more is a bomb, not a policy. */
const aliasCountMax = 100;

/** A first mistake can make a hundred thousand others; people read a few. */
const problemsMax = 50;

/** YAML 1.2, of which JSON is a part, to JSON in UTF-8. All syntax problems at once, with line and column. */
export function parseDocument(bytes: Uint8Array): Result<Uint8Array, readonly Problem[]> {
  const text = decode(bytes);
  if (text === undefined) {
    return err([problem("invalid_text", "", "the file is not text in UTF-8", "save it as UTF-8")]);
  }
  return whereNestingAllows(() => parseText(text));
}

function parseText(text: string): Result<Uint8Array, readonly Problem[]> {
  const lineCounter = new LineCounter();
  // The library compares each key with all others of its object; keyProblems needs one look at each.
  const documents = parseAllDocuments(text, { uniqueKeys: false, lineCounter });
  const [document, ...others] = documents;
  if (document === undefined) return err([emptyDocument()]);
  if (others.length > 0) {
    const message = `the file holds ${documents.length} documents`;
    return err([problem("several_documents", "", message, "a policy is one document")]);
  }
  const problems = [...document.errors.map(syntaxProblem), ...keyProblems(document, lineCounter)];
  return problems.length > 0 ? err(bounded(problems)) : unfold(document);
}

function syntaxProblem({ linePos, message, code }: YAMLError): Problem {
  // How the library tells that its own recursion has ended.
  if (message.includes("call stack")) throw new RangeError(message);
  const [start] = linePos ?? [];
  const place = start === undefined ? "" : placeOf(start);
  return problem("broken_yaml", place, firstLine(message), yamlHint(code));
}

/** Keys that stand twice in an object once they are JSON, where 1 and "1" are the same, and keys that JSON can't have. */
function keyProblems(document: Document.Parsed, lines: LineCounter): readonly Problem[] {
  const problems: Problem[] = [];
  const check = (map: YAMLMap) => {
    const known = new Set<string>();
    for (const { key } of map.items) {
      if (!isScalar(key)) {
        problems.push(problem("broken_yaml", "", "a key is not plain text", "keys are names"));
        continue;
      }
      const name = String(key.value);
      if (known.has(name)) {
        const message = `${JSON.stringify(name)} stands twice in one object`;
        const place = placeOf(lines.linePos(key.range?.[0] ?? 0));
        problems.push(problem("duplicate_key", place, message, "keep one of the two"));
      }
      known.add(name);
    }
  };
  visit(document, { Map: (_, map) => check(map) });
  return problems;
}

function unfold(document: Document.Parsed): Result<Uint8Array, readonly Problem[]> {
  try {
    const value: unknown = document.toJS({ maxAliasCount: aliasCountMax });
    if (value === null || value === undefined) return err([emptyDocument()]);
    return ok(new TextEncoder().encode(JSON.stringify(value)));
  } catch (cause) {
    // The library throws for aliases beyond the limit; a key such as __proto__ is left to the policy's own check.
    if (!(cause instanceof ReferenceError)) throw cause;
    const message = firstLine(cause.message);
    return err([problem("broken_yaml", "", message, "write repeated parts out")]);
  }
}

/** The library and JSON walk a document by recursion, which ends in a RangeError where it is nested too deeply. */
function whereNestingAllows<T>(
  act: () => Result<T, readonly Problem[]>,
): Result<T, readonly Problem[]> {
  try {
    return act();
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause;
    const message = "the document is nested too deeply";
    return err([problem("broken_yaml", "", message, "no policy needs more than a few levels")]);
  }
}

function bounded(problems: readonly Problem[]): readonly Problem[] {
  const more = problems.length - problemsMax;
  if (more <= 0) return problems;
  return [...problems.slice(0, problemsMax), problem("too_many_problems", "", `and ${more} more`)];
}

function emptyDocument(): Problem {
  return problem("empty_document", "", "the document is empty", "a policy has at least one region");
}

function decode(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

function placeOf({ line, col }: { readonly line: number; readonly col: number }): string {
  return `line ${line}, column ${col}`;
}

/** What to do about the mistakes that people make most; "" for the rest. */
function yamlHint(code: string): string {
  switch (code) {
    case "TAB_AS_INDENT":
      return "indent with blanks";
    case "BAD_INDENT":
      return "indent entries of one list or object alike";
    default:
      return "";
  }
}

function firstLine(message: string): string {
  return (message.split("\n")[0] ?? "").replace(/ at line \d+, column \d+:?$/, "");
}
