// Bytes as text: a string with one character per byte. Native string search and JSON.parse work on it without decoding,
// structure in JSON and in event streams is ASCII, and what is not touched goes out byte for byte as it came in.

/** One character (U+0000 to U+00FF) per byte; Node's "latin1". Not yet characters of a language: see `decodeUtf8`. */
export type ByteText = string;

/**
 * The characters that the bytes mean as UTF-8. Bytes that are no UTF-8 stay as they are.
 *
 * @example decodeUtf8("caf\u00c3\u00a9") // → "café"
 */
export function decodeUtf8(text: ByteText): string {
  if (isAscii(text)) return text;
  try {
    return decodeURIComponent(text.replace(/[%\u0080-\u00ff]/g, percent));
  } catch {
    // Not UTF-8: nobody can say which characters were meant, so the bytes themselves are shown.
    return text;
  }
}

/** JSON in ASCII alone, so that it is the same as text and as bytes. */
export function asciiJson(value: unknown): ByteText {
  return JSON.stringify(value).replace(/[\u0080-\uffff]/g, escapeUnit);
}

/** Then characters and bytes are the same. */
export function isAscii(text: string): boolean {
  for (let index = 0; index < text.length; index++) {
    if (text.charCodeAt(index) > 0x7f) return false;
  }
  return true;
}

function percent(character: string): string {
  return `%${character.charCodeAt(0).toString(16).padStart(2, "0")}`;
}

function escapeUnit(unit: string): string {
  return `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`;
}
