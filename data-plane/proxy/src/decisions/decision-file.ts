// Records on disk, one line of JSON each, in two segments: the current one is appended to, and when it is full it takes
// the place of the former. Written in batches beside the requests, never waited for; what can't be kept is counted.

import { appendFile, mkdir, readFile, rename, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { fromJsonString, toJsonString } from "@bufbuild/protobuf";
import { type DecisionRecord, DecisionRecordSchema } from "@meridian/proto/gen/decision_pb";

export type DecisionFileOptions = {
  /** Path without its ending: `.jsonl` and `.former.jsonl` are added. */
  readonly path: string;
  readonly segmentBytesMax: number;
  /** Told why records are being lost, when that begins. */
  readonly failed: (cause: unknown) => void;
};

/** Records that wait for the disk; more are dropped. */
const waitingMax = 1_000;
const batchMs = 250;

export class DecisionFile {
  readonly #options: DecisionFileOptions;
  readonly #current: string;
  readonly #former: string;
  #waiting: DecisionRecord[] = [];
  #writing: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** Undefined until the first write. */
  #bytes: number | undefined;
  #dropped = 0;
  #isFailing = false;

  constructor(options: DecisionFileOptions) {
    this.#options = options;
    this.#current = `${options.path}.jsonl`;
    this.#former = `${options.path}.former.jsonl`;
  }

  /** Records that were to be written and were not. */
  get dropped(): number {
    return this.#dropped;
  }

  add(record: DecisionRecord): void {
    if (this.#waiting.length >= waitingMax) {
      this.#dropped += 1;
      return;
    }
    this.#waiting.push(record);
    // A timer must not keep a process alive that has nothing else to do: close() writes what waits.
    this.#timer ??= setTimeout(() => void this.flush(), batchMs).unref();
  }

  /** Resolves when everything that was added before is on disk, or lost. */
  async flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    await this.#writing;
    if (this.#waiting.length === 0) return;
    this.#writing ??= this.#write(this.#waiting.splice(0)).finally(() => {
      this.#writing = undefined;
    });
    await this.#writing;
  }

  /** Records with this decision id or request id, newest first. */
  async find(id: string, recordsMax: number): Promise<readonly DecisionRecord[]> {
    await this.flush();
    const found: DecisionRecord[] = [];
    for (const path of [this.#current, this.#former]) {
      for (const line of linesWith(await readIfThere(path), JSON.stringify(id))) {
        const record = parseLine(line);
        if (record?.id === id || record?.requestId === id) found.push(record);
        if (found.length >= recordsMax) return found;
      }
    }
    return found;
  }

  /** The newest first. */
  async latest(recordsMax: number): Promise<readonly DecisionRecord[]> {
    await this.flush();
    const found: DecisionRecord[] = [];
    for (const path of [this.#current, this.#former]) {
      for (const line of linesWith(await readIfThere(path), "{")) {
        if (found.length >= recordsMax) return found;
        const record = parseLine(line);
        if (record !== undefined) found.push(record);
      }
    }
    return found;
  }

  async #write(records: readonly DecisionRecord[]): Promise<void> {
    try {
      const lines = records.map((each) => `${toJsonString(DecisionRecordSchema, each)}\n`).join("");
      const bytes = Buffer.byteLength(lines);
      const before = this.#bytes ?? (await this.#open());
      const isFull = before > 0 && before + bytes > this.#options.segmentBytesMax;
      if (isFull) await rename(this.#current, this.#former);
      await appendFile(this.#current, lines);
      this.#bytes = (isFull ? 0 : before) + bytes;
      this.#isFailing = false;
    } catch (cause) {
      this.#dropped += records.length;
      // What is there is looked at again, once writing works.
      this.#bytes = undefined;
      if (!this.#isFailing) this.#options.failed(cause);
      this.#isFailing = true;
    }
  }

  /** Bytes that are there already. A line that a crash cut short is ended, so that it spoils no other. */
  async #open(): Promise<number> {
    await mkdir(dirname(this.#current), { recursive: true });
    const bytes = await stat(this.#current).then(
      ({ size }) => size,
      () => 0,
    );
    if (bytes === 0) return 0;
    await appendFile(this.#current, "\n");
    return bytes + 1;
  }
}

async function readIfThere(path: string): Promise<string> {
  return await readFile(path, "utf8").catch(() => "");
}

/** Lines that contain a word, the last one first; most lines are never cut out. */
function* linesWith(text: string, word: string): Generator<string> {
  let before = text.length;
  while (before > 0) {
    const at = text.lastIndexOf(word, before - 1);
    if (at < 0) return;
    const from = text.lastIndexOf("\n", at) + 1;
    const to = text.indexOf("\n", at);
    yield text.slice(from, to < 0 ? text.length : to);
    before = from;
  }
}

/** Undefined: spoilt, or written by a build that knew other things. */
function parseLine(line: string): DecisionRecord | undefined {
  try {
    return fromJsonString(DecisionRecordSchema, line, { ignoreUnknownFields: true });
  } catch {
    return undefined;
  }
}
