// Real model servers that were named on the command line: which models they have, and an Ollama that runs
// but was not named. Nothing is used unasked.

import { request } from "undici";
import type { BackendOption } from "./options.ts";

export type ExternalBackend = BackendOption & {
  /** Every model of the server; `name` is fit for a policy, `as` is the server's own. */
  readonly models: readonly { readonly name: string; readonly as: string }[];
};

/** Where Ollama listens unless it is told otherwise. */
export const ollamaUrl = "http://127.0.0.1:11434";

const askTimeoutMs = 5_000;
const offerTimeoutMs = 300;
const modelsMax = 200;

/** Asks a server for its models. Throws with what to do when it does not answer as it should. */
export async function askBackend(option: BackendOption): Promise<ExternalBackend> {
  const url = `${option.url}/v1/models`;
  const names = await listModels(url, askTimeoutMs).catch((cause: unknown) => {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new Error(`--backend ${option.kind}=${option.url}: ${url} gave no models (${why})`, {
      cause,
    });
  });
  if (names.length === 0) {
    const hint = option.kind === "ollama" ? "; try: ollama pull llama3.2" : "";
    throw new Error(`--backend ${option.kind}=${option.url}: it has no models${hint}`);
  }
  const models = names.slice(0, modelsMax).map((as) => ({ name: modelName(as), as }));
  return { ...option, models };
}

/** The server's name for a model, made fit for a policy: llama.cpp names a model by its file's path, for instance. */
export function modelName(as: string): string {
  const fit = as.replace(/^[^A-Za-z0-9]+/, "").replaceAll(/[^A-Za-z0-9._:/@+-]/g, "-");
  return fit === "" ? "model" : fit.slice(0, 128);
}

/** The models of an Ollama on its default port; undefined when none runs. */
export async function findOllama(): Promise<readonly string[] | undefined> {
  try {
    return await listModels(`${ollamaUrl}/v1/models`, offerTimeoutMs);
  } catch {
    return undefined;
  }
}

async function listModels(url: string, timeoutMs: number): Promise<readonly string[]> {
  const signal = AbortSignal.timeout(timeoutMs);
  const { statusCode, body } = await request(url, { signal });
  const text = await body.text();
  if (statusCode !== 200) throw new Error(`status ${statusCode}`);
  const answer: unknown = JSON.parse(text);
  if (typeof answer !== "object" || answer === null || !("data" in answer)) {
    throw new Error("the answer has no list of models");
  }
  if (!Array.isArray(answer.data)) return [];
  return answer.data
    .map((each: unknown) =>
      typeof each === "object" && each !== null && "id" in each ? String(each.id) : "",
    )
    .filter((id) => id !== "");
}
