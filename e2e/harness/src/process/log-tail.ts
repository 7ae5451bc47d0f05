// The newest lines of a program's output, bounded.

/** Lines kept for each program. */
const linesMax = 400;
/** A longer line is cut: a program that writes no line ends must not fill the memory. */
const lineCharactersMax = 4_000;

export class LogTail {
  #lines: string[] = [];
  #partial = "";

  append(text: string): void {
    const parts = (this.#partial + text).split("\n");
    this.#partial = (parts.pop() ?? "").slice(-lineCharactersMax);
    for (const line of parts) this.#lines.push(line.slice(0, lineCharactersMax));
    if (this.#lines.length > linesMax) this.#lines = this.#lines.slice(-linesMax);
  }

  last(count: number): readonly string[] {
    const all = this.#partial === "" ? this.#lines : [...this.#lines, this.#partial];
    return all.slice(-count);
  }
}
