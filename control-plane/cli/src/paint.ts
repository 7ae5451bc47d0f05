// Colours for a terminal.

/** Colour is used only where a person looks. */
export type Paint = {
  readonly red: (text: string) => string;
  readonly yellow: (text: string) => string;
};

export const noPaint: Paint = { red: (text) => text, yellow: (text) => text };

export const terminalPaint: Paint = {
  red: (text) => `\u001b[31m${text}\u001b[39m`,
  yellow: (text) => `\u001b[33m${text}\u001b[39m`,
};
