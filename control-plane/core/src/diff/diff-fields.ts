// The difference of two JSON objects as one line for a person: `weight 1 → 2; serves + llama-8b`.

import type { JsonObject, JsonValue } from "@bufbuild/protobuf";

const valueLengthMax = 80;
const partsMax = 20;

/** What differs, field by field; "": nothing. */
export function diffFields(before: JsonObject, after: JsonObject): string {
  return joinParts(differences("", before, after));
}

/** What an object holds, for what is new or gone. */
export function describe(fields: JsonObject): string {
  return joinParts(Object.entries(fields).map(([name, value]) => `${name} ${show(value)}`));
}

function differences(path: string, before: JsonObject, after: JsonObject): readonly string[] {
  const names = new Set([...Object.keys(after), ...Object.keys(before)]);
  return [...names].flatMap((name) =>
    difference(path === "" ? name : `${path}.${name}`, before[name], after[name]),
  );
}

/** undefined: not set. */
function difference(
  path: string,
  before: JsonValue | undefined,
  after: JsonValue | undefined,
): readonly string[] {
  if (isList(before) || isList(after)) {
    return listDifference(path, isList(before) ? before : [], isList(after) ? after : []);
  }
  if (isObject(before) || isObject(after)) {
    return differences(path, isObject(before) ? before : {}, isObject(after) ? after : {});
  }
  return before === after ? [] : [`${path} ${show(before)} → ${show(after)}`];
}

/** Entries are the same when they have the same key; what else differs in them is told under that key. */
function listDifference(
  path: string,
  before: readonly JsonValue[],
  after: readonly JsonValue[],
): readonly string[] {
  const old = new Map(before.map((each) => [keyOf(each), each]));
  const now = new Map(after.map((each) => [keyOf(each), each]));
  const added = [...now.keys()].filter((key) => !old.has(key));
  const removed = [...old.keys()].filter((key) => !now.has(key));
  const inside = [...now].flatMap(([key, value]) => {
    const former = old.get(key);
    return isObject(former) && isObject(value)
      ? differences(`${path} ${clip(key)}`, former, value)
      : [];
  });
  const parts = [
    ...added.map((key) => `${path} + ${clip(key)}`),
    ...removed.map((key) => `${path} − ${clip(key)}`),
    ...inside,
  ];
  const isReordered = [...now.keys()].join("\n") !== [...old.keys()].join("\n");
  return parts.length === 0 && isReordered ? [`${path} order ${show([...now.keys()])}`] : parts;
}

/** By what an entry of a list is known: the model of a target, the hash of a key, name and value of a header, or itself. */
function keyOf(value: JsonValue): string {
  if (!isObject(value)) return String(value);
  // Enough of a hash to tell keys apart; the whole would only fill the line.
  if (typeof value.sha256 === "string") return `sha256 ${value.sha256.slice(0, 12)}…`;
  if (typeof value.value === "string") return `${String(value.name)}: ${value.value}`;
  return String(value.model ?? value.name ?? JSON.stringify(value));
}

function show(value: JsonValue | undefined): string {
  if (value === undefined) return "not set";
  if (isList(value)) return clip(value.map(keyOf).join(", "));
  if (isObject(value)) return `{${describe(value)}}`;
  return clip(String(value));
}

function joinParts(parts: readonly string[]): string {
  const more = parts.length - partsMax;
  return parts.slice(0, partsMax).join("; ") + (more > 0 ? `; and ${more} more` : "");
}

/** Counts in whole characters, so that none is cut in half. */
function clip(text: string): string {
  if (text.length <= valueLengthMax) return text;
  return `${[...text.slice(0, valueLengthMax)].slice(0, -1).join("")}…`;
}

function isList(value: JsonValue | undefined): value is JsonValue[] {
  return Array.isArray(value);
}

function isObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
