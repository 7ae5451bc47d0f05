// Unknown JSON to a complete Policy, with everything about its form that is wrong told at once.

import { fromJson, type JsonValue } from "@bufbuild/protobuf";
import { err, ok, type Problem, problem, type Result } from "../base/index.ts";
import { type Policy, PolicySchema } from "../gen/meridian/v1/policy_pb.ts";
import { createFindings } from "./findings.ts";
import { walkMessage } from "./walk-document.ts";

/** A document above this is refused before it is parsed. 4 MiB. */
export const documentBytesMax = 4 * 1024 * 1024;

/** To be asked before a document is decoded; undefined: it is small enough. */
export function checkDocumentSize(bytes: number): Problem | undefined {
  if (bytes <= documentBytesMax) return undefined;
  const message = `the document has ${bytes} bytes; at most ${documentBytesMax} are allowed`;
  return problem("too_large", "", message, "split the policy, or shorten it");
}

/**
 * Unknown JSON (ProtoJSON names) to a complete Policy: every form problem at once (unknown fields, wrong types, unknown
 * enum words, missing names), each with its path in the document. Never throws; takes time linear in the document.
 * What a field says must still make sense: see checkPolicy.
 *
 * @example parsePolicy({ regions: [{ nme: "eu" }] })
 *          // → err: unknown_field at regions[0].nme (did you mean name?), missing at regions[0].name, missing at backends, …
 */
export function parsePolicy(document: unknown): Result<Policy, readonly Problem[]> {
  if (isEmpty(document)) {
    const hint = "a policy needs at least regions, backends and models";
    return err([problem("empty_document", "", "the document is empty", hint)]);
  }
  const findings = createFindings();
  walkMessage(PolicySchema, { value: document, path: "", findings });
  const problems = findings.list();
  if (problems.length > 0) return err(problems);
  try {
    // The walk has just seen that it is JSON of the schema's form.
    return ok(fromJson(PolicySchema, document as JsonValue));
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : "the document can't be read";
    return err([problem("unreadable", "", message.slice(0, 300), "please report this")]);
  }
}

function isEmpty(document: unknown): boolean {
  if (document === null || document === undefined || document === "") return true;
  return typeof document === "object" && Object.keys(document).length === 0;
}
