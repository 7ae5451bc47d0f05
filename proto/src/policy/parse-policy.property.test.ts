// A valid document, with anything done to it anywhere.

import { fromBinary, toBinary, toJson } from "@bufbuild/protobuf";
import fc from "fast-check";
import { expect, test } from "vitest";
import { assertNever, refuses } from "../base/index.ts";
import { PolicySchema } from "../gen/meridian/v1/policy_pb.ts";
import { checkPolicy } from "./check-policy.ts";
import { parsePolicy } from "./parse-policy.ts";
import { sampleDocument } from "./sample-policy.ts";

const junk = fc.oneof(
  fc.anything({ withNullPrototype: true, withBigInt: true, withDate: true, withMap: true }),
  fc.jsonValue({ maxDepth: 3 }),
  fc.constantFrom("llama-70b", "acme", "eu-west", "*", "http://[::1]", 0, -1, 1e9, "openai"),
  fc.double(),
);
const names = fc.oneof(
  fc.string(),
  fc.constantFrom("__proto__", "constructor", "toString", "name", "model", "weight", "url"),
);
const mutations: fc.Arbitrary<Mutation> = fc.oneof(
  fc.record({ kind: fc.constant("replace" as const), by: junk }),
  fc.record({ kind: fc.constant("remove" as const) }),
  fc.record({ kind: fc.constant("rename" as const), to: names }),
  fc.record({ kind: fc.constant("repeat" as const) }),
  fc.record({ kind: fc.constant("add" as const), name: names, value: junk }),
);

test("whatever is done to a document, it ends as a policy or as a refusal, and never throws", () => {
  const steps = fc.array(fc.tuple(fc.nat(), mutations), { minLength: 1, maxLength: 4 });
  fc.assert(
    fc.property(steps, (list) => {
      let document: object = sampleDocument();
      for (const [at, mutation] of list) document = mutateDocument(document, at, mutation);
      const parsed = parsePolicy(document);
      if (parsed.kind === "err") {
        expect(refuses(parsed.error)).toBe(true);
        // Found by us, with a place, and not by the runtime's reader.
        expect(parsed.error.map((each) => each.code)).not.toContain("unreadable");
        return;
      }
      for (const each of checkPolicy(parsed.value)) expect(each.message).not.toBe("");
      const bytes = toBinary(PolicySchema, parsed.value);
      expect(fromBinary(PolicySchema, bytes)).toEqual(parsed.value);
      expect(parsePolicy(toJson(PolicySchema, parsed.value))).toEqual(parsed);
    }),
    { numRuns: 2_000 },
  );
});

test("whatever value comes in, nothing throws", () => {
  fc.assert(
    fc.property(fc.anything(), (document) => {
      const parsed = parsePolicy(document);
      return parsed.kind === "err" && refuses(parsed.error);
    }),
  );
});

type Mutation =
  | { readonly kind: "replace"; readonly by: unknown }
  | { readonly kind: "remove" }
  | { readonly kind: "rename"; readonly to: string }
  | { readonly kind: "repeat" }
  | { readonly kind: "add"; readonly name: string; readonly value: unknown };

/** A copy of the document, with the node number `at` (modulo their count, in document order) mutated. */
function mutateDocument(document: object, at: number, mutation: Mutation): object {
  const copy: object = structuredClone(document);
  const nodes = listNodes(copy);
  const node = nodes[at % nodes.length];
  if (node !== undefined) mutateNode(node, mutation);
  return copy;
}

/** A property or list entry: what holds it, and under which name. */
type Node = { readonly holder: object; readonly name: string };

function listNodes(holder: object): readonly Node[] {
  return Object.entries(holder).flatMap(([name, value]) => [
    { holder, name },
    ...(typeof value === "object" && value !== null ? listNodes(value) : []),
  ]);
}

function mutateNode({ holder, name }: Node, mutation: Mutation): void {
  const value: unknown = Reflect.get(holder, name);
  switch (mutation.kind) {
    case "replace":
      Reflect.set(holder, name, mutation.by);
      return;
    case "remove":
      if (Array.isArray(holder)) holder.splice(Number(name), 1);
      else Reflect.deleteProperty(holder, name);
      return;
    case "rename":
      if (Array.isArray(holder)) return;
      Reflect.deleteProperty(holder, name);
      define(holder, mutation.to, value);
      return;
    case "repeat":
      if (Array.isArray(holder)) holder.push(structuredClone(value));
      return;
    case "add":
      if (!Array.isArray(holder)) define(holder, mutation.name, mutation.value);
      return;
    default:
      assertNever(mutation);
  }
}

/** As JSON.parse does it: `__proto__` becomes a property like any other. */
function define(holder: object, name: string, value: unknown): void {
  Object.defineProperty(holder, name, {
    value,
    writable: true,
    enumerable: true,
    configurable: true,
  });
}
