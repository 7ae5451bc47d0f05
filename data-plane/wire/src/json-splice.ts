// Replaces the value of one top-level key in JSON text, and leaves every other byte as it is: numbers beyond 2^53,
// order of keys, unknown fields and white space survive. Parsing and printing again would lose them.

import type { ByteText } from "./byte-text.ts";

/** A stretch of text: [start, end). */
export type Span = { readonly start: number; readonly end: number };

/** The escapes that could hide a letter or the underscore of a key in lower-case ASCII: \u005f, \u0061 to \u007a. */
const hiddenLetter = /\\u00[567]/;

/**
 * Where the values of a top-level key stand, in order: more than one when the key is repeated. The text must be a JSON
 * object that JSON.parse took and that has the key; the key is made of lower-case letters and underscores.
 *
 * @example findTopLevel('{"model":"a","n":1}', "model") // → [{ start: 9, end: 12 }]
 */
export function findTopLevel(text: ByteText, key: string): readonly Span[] {
  const quoted = `"${key}"`;
  const at = text.indexOf(quoted);
  // Within a string the quotes would be escaped, so each hit is a key or a whole value. As the object has the key, a
  // single hit is it, unless its letters are written as escapes.
  const isSingle = at >= 0 && text.indexOf(quoted, at + quoted.length) < 0;
  if (!isSingle || hiddenLetter.test(text)) return walkTopLevel(text, key);
  const value = valueAfter(text, at + quoted.length);
  return value === undefined ? [] : [value];
}

/**
 * Where the value of the first top-level key of that name begins; what stands behind is not looked at. undefined: there
 * is none. The text is a JSON object that JSON.parse took.
 */
export function findStart(text: ByteText, key: string): number | undefined {
  let at = skipSpace(text, skipSpace(text, 0) + 1);
  while (at < text.length && text.charCodeAt(at) === code.quote) {
    const keyEnd = skipString(text, at);
    const start = startOfValue(text, keyEnd);
    if (start === undefined) return undefined;
    if (isKey(text.slice(at, keyEnd), key)) return start;
    at = skipSpace(text, skipValue(text, start));
    if (text.charCodeAt(at) !== code.comma) return undefined;
    at = skipSpace(text, at + 1);
  }
  return undefined;
}

/** Puts a literal in the place of every span. Spans are in order and don't overlap. */
export function splice(text: ByteText, spans: readonly Span[], literal: ByteText): ByteText {
  const first = spans[0];
  if (first === undefined) return text;
  if (spans.length === 1) return text.slice(0, first.start) + literal + text.slice(first.end);
  let out = "";
  let from = 0;
  for (const span of spans) {
    out += text.slice(from, span.start) + literal;
    from = span.end;
  }
  return out + text.slice(from);
}

/**
 * The same object with the key's value replaced, or with the key added at its end. The literal is JSON.
 *
 * @example setTopLevel('{"n":1}', "n", "2") // → '{"n":2}'
 */
export function setTopLevel(text: ByteText, key: string, literal: ByteText): ByteText {
  const spans = text.includes(`"${key}"`) || hiddenLetter.test(text) ? walkTopLevel(text, key) : [];
  return spans.length > 0 ? splice(text, spans, literal) : addTopLevel(text, key, literal);
}

/** The same object with one more key at its end, which it must not have yet. */
export function addTopLevel(text: ByteText, key: string, literal: ByteText): ByteText {
  const end = text.lastIndexOf("}");
  const isBare = text.charCodeAt(skipSpace(text, skipSpace(text, 0) + 1)) === code.closeCurly;
  return `${text.slice(0, end)}${isBare ? "" : ","}"${key}":${literal}${text.slice(end)}`;
}

/** The same object without the key, which stands in it. White space beside a comma that goes is not kept. */
export function removeTopLevel(text: ByteText, key: string): ByteText {
  let out = text;
  for (const span of walkTopLevel(text, key).toReversed()) {
    const keyEnd = out.lastIndexOf('"', out.lastIndexOf(":", span.start - 1) - 1);
    // A key of letters has no quote within, however it is escaped.
    const before = out.slice(0, out.lastIndexOf('"', keyEnd - 1)).trimEnd();
    const after = out.slice(span.end).trimStart();
    if (before.endsWith(",")) out = before.slice(0, -1) + after;
    else out = before + (after.startsWith(",") ? after.slice(1) : after);
  }
  return out;
}

/** Two JSON texts as one: `"a"` and `"b"` give `"ab"`, each written as it was. */
export function joinTexts(first: ByteText, second: ByteText): ByteText {
  return first.slice(0, -1) + second.slice(1);
}

/** Where the elements of a list stand. The text must be a JSON array that JSON.parse took. */
export function findElements(text: ByteText): readonly Span[] {
  const found: Span[] = [];
  let at = skipSpace(text, skipSpace(text, 0) + 1);
  while (at < text.length && text.charCodeAt(at) !== code.closeSquare) {
    const end = skipValue(text, at);
    found.push({ start: at, end });
    at = skipSpace(text, end);
    if (text.charCodeAt(at) === code.comma) at = skipSpace(text, at + 1);
  }
  return found;
}

/** The value after a key whose closing quote ends at `from`. */
function valueAfter(text: ByteText, from: number): Span | undefined {
  const start = startOfValue(text, from);
  return start === undefined ? undefined : { start, end: skipValue(text, start) };
}

function startOfValue(text: ByteText, from: number): number | undefined {
  const colon = skipSpace(text, from);
  return text.charCodeAt(colon) === code.colon ? skipSpace(text, colon + 1) : undefined;
}

function walkTopLevel(text: ByteText, key: string): readonly Span[] {
  const found: Span[] = [];
  let at = skipSpace(text, skipSpace(text, 0) + 1);
  while (at < text.length && text.charCodeAt(at) === code.quote) {
    const keyEnd = skipString(text, at);
    const value = valueAfter(text, keyEnd);
    if (value === undefined) break;
    if (isKey(text.slice(at, keyEnd), key)) found.push(value);
    at = skipSpace(text, value.end);
    if (text.charCodeAt(at) !== code.comma) break;
    at = skipSpace(text, at + 1);
  }
  return found;
}

function isKey(literal: ByteText, key: string): boolean {
  if (!literal.includes("\\")) return literal === `"${key}"`;
  return JSON.parse(literal) === key;
}

const code = {
  quote: 0x22,
  comma: 0x2c,
  colon: 0x3a,
  backslash: 0x5c,
  openSquare: 0x5b,
  closeSquare: 0x5d,
  openCurly: 0x7b,
  closeCurly: 0x7d,
  space: 0x20,
} as const;

function skipSpace(text: ByteText, from: number): number {
  let at = from;
  while (at < text.length && text.charCodeAt(at) <= code.space) at++;
  return at;
}

/** `from` stands on the opening quote; the result is behind the closing one. */
function skipString(text: ByteText, from: number): number {
  let at = from;
  for (;;) {
    at = text.indexOf('"', at + 1);
    if (at < 0) return text.length;
    let slashes = 0;
    while (text.charCodeAt(at - 1 - slashes) === code.backslash) slashes++;
    if (slashes % 2 === 0) return at + 1;
  }
}

function skipValue(text: ByteText, from: number): number {
  const first = text.charCodeAt(from);
  if (first === code.quote) return skipString(text, from);
  if (first === code.openCurly || first === code.openSquare) return skipNested(text, from);
  let at = from;
  while (at < text.length && !endsPrimitive(text.charCodeAt(at))) at++;
  return at;
}

function skipNested(text: ByteText, from: number): number {
  let depth = 0;
  let at = from;
  while (at < text.length) {
    const unit = text.charCodeAt(at);
    if (unit === code.quote) {
      at = skipString(text, at);
      continue;
    }
    at++;
    if (unit === code.openCurly || unit === code.openSquare) depth++;
    else if ((unit === code.closeCurly || unit === code.closeSquare) && --depth === 0) return at;
  }
  return at;
}

function endsPrimitive(unit: number): boolean {
  return (
    unit === code.comma ||
    unit === code.closeCurly ||
    unit === code.closeSquare ||
    unit <= code.space
  );
}
