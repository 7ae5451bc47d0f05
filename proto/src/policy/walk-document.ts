// Compares a document with the schema, field by field, and finds everything that does not fit. The runtime's own JSON
// reader stops at the first mistake; an operator wants them all. Depth is bounded by the schema, which has no cycles: what
// the schema does not know is not entered.

import { type DescEnum, type DescField, type DescMessage, ScalarType } from "@bufbuild/protobuf";
import { listLimit, mayBeZero, mayHoldLines, requiredFields, textLimit } from "./document-rules.ts";
import { type Findings, listNames, quote } from "./findings.ts";
import { nearestWord } from "./nearest-word.ts";

/** Keys that reach into JavaScript's own objects. */
const forbiddenKeys: ReadonlySet<string> = new Set(["__proto__", "constructor", "prototype"]);

/** A value in the document, and where it stands. Path "": the whole document. */
export type Spot = {
  readonly value: unknown;
  readonly path: string;
  readonly findings: Findings;
};

/** Finds what keeps the value from being a message of this kind. */
export function walkMessage(schema: DescMessage, spot: Spot): void {
  const { value, path, findings } = spot;
  if (!isPlainObject(value)) {
    const hint = `it has the fields ${listNames(schema.fields.map((each) => each.jsonName))}`;
    const code = path === "" ? "not_an_object" : "wrong_type";
    findings.refuse(code, path, `${typeName(value)} is not an object`, hint);
    return;
  }
  for (const name of Object.keys(value)) {
    const field = schema.fields.find((each) => each.jsonName === name);
    const inside = { value: value[name], path: joinPath(path, name), findings };
    if (field === undefined) refuseField(schema, name, inside);
    else walkField(field, inside);
  }
  for (const name of requiredFields(schema)) {
    if (Object.hasOwn(value, name)) continue;
    const kind = path === "" ? "the policy" : `a ${schema.name.toLowerCase()}`;
    findings.refuse("missing", joinPath(path, name), `${kind} needs ${name}`, "add it");
  }
}

function refuseField(schema: DescMessage, name: string, { path, findings }: Spot): void {
  if (forbiddenKeys.has(name)) {
    findings.refuse("forbidden_key", path, `${name} is never a field`, "take it out");
    return;
  }
  const names = findings.isCrowded() ? [] : schema.fields.map((each) => each.jsonName);
  const near = nearestWord(name, names);
  const hint = near === undefined ? `fields here: ${listNames(names)}` : `did you mean ${near}?`;
  findings.refuse("unknown_field", path, `there is no field ${quote(name)}`, hint);
}

function walkField(field: DescField, spot: Spot): void {
  switch (field.fieldKind) {
    case "list":
      walkList(field, spot);
      return;
    case "message":
      walkMessage(field.message, spot);
      return;
    default:
      walkValue(field, spot);
  }
}

function walkList(field: DescField & { fieldKind: "list" }, spot: Spot): void {
  const { value, path, findings } = spot;
  if (!Array.isArray(value)) {
    const message = `${typeName(value)} is not a list`;
    findings.refuse("wrong_type", path, message, "write [ … ], or leave it out");
    return;
  }
  const max = listLimit(field);
  if (value.length > max) {
    const message = `${value.length} entries are more than the ${max} that are allowed`;
    findings.refuse("too_large", path, message, "split the policy, or merge entries");
  }
  if (value.length === 0 && requiredFields(field.parent).includes(field.jsonName)) {
    findings.refuse("missing", path, `${field.jsonName} is empty`, "name at least one");
  }
  for (let place = 0; place < Math.min(value.length, max); place++) {
    const inside = { value: value[place], path: `${path}[${place}]`, findings };
    if (field.listKind === "message") walkMessage(field.message, inside);
    else walkValue(field, inside);
  }
}

/** One text, number or word; of a list too. */
function walkValue(field: DescField, spot: Spot): void {
  if (field.enum !== undefined) walkWord(field.enum, spot);
  else if (field.scalar === ScalarType.STRING) walkText(field, spot);
  else if (field.scalar === ScalarType.BOOL) walkSwitch(spot);
  else walkNumber(field, spot);
}

function walkWord(schema: DescEnum, { value, path, findings }: Spot): void {
  // Number 0 stands for "not set"; it is no word of the document.
  const words = schema.values.filter((each) => each.number !== 0).map((each) => each.name);
  if (typeof value === "string" && words.includes(value)) return;
  const near = typeof value === "string" ? nearestWord(value, words) : undefined;
  const meant = near === undefined ? "" : `did you mean ${near}? `;
  const hint = `${meant}words here: ${words.join(", ")}`;
  findings.refuse("unknown_word", path, `${show(value)} is not known`, hint);
}

function walkText(field: DescField, { value, path, findings }: Spot): void {
  if (typeof value !== "string") {
    const hint = value == null ? "give it a value, or leave it out" : "put it in quotes";
    findings.refuse("wrong_type", path, `${show(value)} is not a text`, hint);
    return;
  }
  const max = textLimit(field);
  if (value.length > max) {
    const message = `${value.length} characters are more than the ${max} that are allowed`;
    findings.refuse("too_large", path, message, "shorten it");
  } else if (value.trim() === "") {
    findings.refuse("blank", path, "it is blank", "give it a value, or leave it out");
  } else if (/\p{Cs}/u.test(value) || (!mayHoldLines(field) && /\p{Cc}/u.test(value))) {
    const message = "it holds characters that can't be shown";
    findings.refuse("invalid_text", path, message, "take out control characters and line breaks");
  }
}

function walkSwitch({ value, path, findings }: Spot): void {
  if (typeof value === "boolean") return;
  findings.refuse(
    "wrong_type",
    path,
    `${show(value)} is neither true nor false`,
    "write true, or leave it out",
  );
}

function walkNumber(field: DescField, { value, path, findings }: Spot): void {
  if (typeof value !== "number") {
    const isText = typeof value === "string";
    const hint = isText ? "write the number without quotes" : "give a number, or leave it out";
    findings.refuse("wrong_type", path, `${show(value)} is not a number`, hint);
    return;
  }
  const isWhole = field.scalar === ScalarType.UINT32;
  if (!Number.isFinite(value) || (isWhole && value > 0xffff_ffff)) {
    findings.refuse("out_of_range", path, `${value} is too large`, "give a smaller number");
  } else if (isWhole && value < 0) {
    findings.refuse("negative", path, `${value} is below 0`, "give a whole number from 1 up");
  } else if (isWhole && !Number.isInteger(value)) {
    findings.refuse("not_whole", path, `${value} is not a whole number`, "round it");
  } else if (value === 0 && !mayBeZero(field)) {
    const hint = "leave it out for the default, or give a number from 1 up";
    findings.refuse("zero", path, "0 can't be told from not set here", hint);
  }
}

/** Objects as JSON and YAML readers make them; of classes, or with a prototype slipped in, none. */
function isPlainObject(value: unknown): value is { readonly [name: string]: unknown } {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  // Object.prototype is the one that has none itself; this also holds for objects that come from another thread.
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

/** A single value for a message. */
function show(value: unknown): string {
  const isShort = typeof value === "number" || typeof value === "boolean";
  if (isShort) return String(value);
  return typeof value === "string" ? quote(value) : typeName(value);
}

/** What kind of thing stands there. Not what it says: where an object should be, it may be a key in plain text. */
function typeName(value: unknown): string {
  if (value === null || value === undefined) return "null";
  if (Array.isArray(value)) return "a list";
  return typeof value === "object" || typeof value === "function"
    ? "an object"
    : `a ${typeof value}`;
}

/** `backends[2].url`; a name that would make the path unclear is quoted. */
function joinPath(path: string, name: string): string {
  if (!/^[\w-]{1,64}$/.test(name)) return `${path}[${quote(name)}]`;
  return path === "" ? name : `${path}.${name}`;
}
