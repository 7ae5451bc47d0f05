// Text from elsewhere, fit for one line of a terminal.

/** Blanks and line ends become one blank; control characters, which a terminal would obey, are left out. */
export function oneLine(text: string): string {
  return text.replaceAll(/\s+/g, " ").replaceAll(/[\p{Cc}\p{Cf}]/gu, "");
}
