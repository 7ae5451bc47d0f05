// The simulator's HTTP server: which path is which surface, and the switches for tests.

import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
} from "node:http";
import type { Socket } from "node:net";
import { seededRandom } from "@meridian/proto/base";
import { messages } from "./anthropic.ts";
import { runExchange } from "./exchange.ts";
import { FaultSet } from "./faults.ts";
import { showMetrics } from "./metrics.ts";
import { ModelRunner } from "./model-runner.ts";
import type { ModelSpec } from "./model-size.ts";
import { ollamaChat, ollamaEmbeddings, ollamaError, ollamaGenerate, ollamaTags } from "./ollama.ts";
import { chatCompletions, completions, embeddingList, modelList, openaiError } from "./openai.ts";
import { countTokens } from "./prefix-cache.ts";
import { readBody } from "./read-body.ts";
import { RequestLog, type SeenRequest } from "./request-log.ts";
import { meetWhole, refuse, sendJson } from "./spoil.ts";
import {
  type AssistantPrefix,
  inputTexts,
  isObject,
  type JsonObject,
  type Surface,
} from "./surface.ts";
import { answerSwitch } from "./switches.ts";

export type SimulatorOptions = {
  readonly models: readonly ModelSpec[];
  /** Divides every duration. */
  readonly speed: number;
  /** Decides which requests a fault with a share meets. */
  readonly seed: string;
  /** There is a second port for the switches. */
  readonly refusable: boolean;
  /** What becomes of a chat whose last message is the assistant's. */
  readonly assistantPrefix: AssistantPrefix;
};

const generating: { readonly [path: string]: Surface } = {
  "/v1/chat/completions": chatCompletions,
  "/v1/completions": completions,
  "/v1/messages": messages,
  "/api/chat": ollamaChat,
  "/api/generate": ollamaGenerate,
};

const embedding: {
  readonly [path: string]: {
    readonly error: Surface["error"];
    readonly answer: (model: string, texts: readonly string[], body: JsonObject) => unknown;
  };
} = {
  "/v1/embeddings": { error: openaiError, answer: embeddingList },
  "/api/embed": { error: ollamaError, answer: ollamaEmbeddings },
};

/** What a process or a test needs of a simulated model server. */
export type Simulator = {
  /** Another server that does not listen yet. All of them share models, faults and log. */
  readonly openServer: () => Server;
  readonly faults: FaultSet;
  readonly log: RequestLog;
};

/** `onSwitch` hears when faults have changed. */
export function createSimulator(options: SimulatorOptions, onSwitch: () => void): Simulator {
  const state = new SimulatorState(options);
  const handle: RequestListener = (request, response) => {
    const { faults, log } = state;
    const { refusable } = options;
    if (answerSwitch({ request, response, faults, log, onSwitch, refusable })) return;
    state.answer(request, response);
  };
  const openServer = () => {
    const server = createServer({ keepAliveTimeout: 65_000, noDelay: true }, handle);
    return server.prependListener("connection", (socket: Socket) => {
      if (state.faults.meetsAt(socket.localPort ?? 0, "close-at-connect")) socket.destroy();
    });
  };
  return { openServer, faults: state.faults, log: state.log };
}

class SimulatorState {
  readonly faults: FaultSet;
  readonly log = new RequestLog();
  readonly #runners: ReadonlyMap<string, ModelRunner>;
  readonly #assistantPrefix: AssistantPrefix;
  /** Connections that have carried a request. */
  readonly #used = new WeakSet<Socket>();
  readonly #startedSeconds = Math.floor(Date.now() / 1_000);
  #lastId = 0;

  constructor(options: SimulatorOptions) {
    this.faults = new FaultSet(seededRandom(options.seed));
    this.#assistantPrefix = options.assistantPrefix;
    this.#runners = new Map(
      options.models.map((spec) => [spec.name, new ModelRunner(spec, options.speed)]),
    );
  }

  answer(request: IncomingMessage, response: ServerResponse): void {
    const path = (request.url ?? "/").split("?")[0] ?? "/";
    if (request.method === "POST") {
      const error = (generating[path] ?? embedding[path])?.error ?? openaiError;
      const seen = this.log.open(request, path, response);
      if (this.faults.meetsAt(seen.port, "black-hole")) {
        seen.outcome = "fault:black-hole";
        return;
      }
      const reused = this.#used.has(request.socket);
      this.#used.add(request.socket);
      readBody(request, (body) => {
        const to = { response, seen, reused, surface: { error } };
        if (body.kind === "ok") this.#post({ ...to, path, body: body.value });
        else refuse(to, body.error);
      });
      return;
    }
    this.#get(path, response);
  }

  #get(path: string, response: ServerResponse): void {
    const names = [...this.#runners.keys()];
    if (path === "/v1/models") sendJson(response, 200, modelList(names, this.#startedSeconds));
    else if (path === "/api/tags") sendJson(response, 200, ollamaTags(names, this.#startedSeconds));
    else if (path === "/api/version") sendJson(response, 200, { version: "0.0.0-simulated" });
    else if (path === "/health" || path === "/") response.writeHead(200).end();
    else if (path === "/metrics") {
      response.writeHead(200, { "content-type": "text/plain; version=0.0.4" });
      response.end(showMetrics([...this.#runners.values()]));
    } else sendJson(response, 404, openaiError({ status: 404, message: "no such path", code: "" }));
  }

  #post(to: {
    readonly path: string;
    readonly body: unknown;
    readonly response: ServerResponse;
    readonly seen: SeenRequest;
    readonly reused: boolean;
    readonly surface: Pick<Surface, "error">;
  }): void {
    const body = isObject(to.body) ? to.body : {};
    const surface = generating[to.path];
    const embeds = embedding[to.path];
    if (surface !== undefined) this.#generate({ ...to, surface, body });
    else if (embeds !== undefined) this.#embed({ ...to, body, answer: embeds.answer });
    else refuse(to, { status: 404, message: `no such path: ${to.path}`, code: "not_found" });
  }

  #generate(to: {
    readonly body: JsonObject;
    readonly surface: Surface;
    readonly response: ServerResponse;
    readonly seen: SeenRequest;
    readonly reused: boolean;
  }): void {
    const parsed = to.surface.parse(to.body, this.#assistantPrefix);
    if (parsed.kind === "err") {
      refuse(to, { status: 400, message: parsed.error, code: "invalid_request" });
      return;
    }
    const generation = parsed.value;
    to.seen.model = generation.model;
    to.seen.stream = generation.stream;
    const runner = this.#runnerFor(generation.model, "generate");
    if (runner === undefined) {
      refuse(to, noModel(generation.model));
      return;
    }
    const { model } = generation;
    const fault = this.faults.meet({ model, port: to.seen.port, reused: to.reused });
    if (meetWhole(to, fault)) return;
    this.#lastId += 1;
    runExchange({ ...to, generation, runner, fault, id: `gen-${process.pid}-${this.#lastId}` });
  }

  #embed(to: {
    readonly body: JsonObject;
    readonly answer: (model: string, texts: readonly string[], body: JsonObject) => unknown;
    readonly response: ServerResponse;
    readonly seen: SeenRequest;
    readonly surface: Pick<Surface, "error">;
  }): void {
    const { body, response, seen } = to;
    const texts = inputTexts(body.input);
    const model = typeof body.model === "string" ? body.model : undefined;
    if (texts === undefined || model === undefined) {
      refuse(to, { status: 400, message: "model and input are required", code: "invalid_request" });
      return;
    }
    seen.model = model;
    const runner = this.#runnerFor(model, "embed");
    if (runner === undefined) {
      refuse(to, noModel(model));
      return;
    }
    if (
      meetWhole({ ...to, surface: chatCompletions }, this.faults.meet({ model, port: seen.port }))
    )
      return;
    const promptTokens = texts.reduce((sum, each) => sum + countTokens(each), 0);
    runner.submit({ blocks: [], promptTokens, outputTokens: 0, slowness: 1 }, (event) => {
      if (event.kind !== "done") return;
      seen.status = 200;
      seen.outcome = "completed";
      sendJson(response, 200, to.answer(model, texts, body));
    });
  }

  #runnerFor(model: string, use: ModelSpec["use"]): ModelRunner | undefined {
    const found = this.#runners.get(model);
    return found?.spec.use === use ? found : undefined;
  }
}

function noModel(model: string) {
  return {
    status: 404,
    message: `the model ${model} does not exist here`,
    code: "model_not_found",
  };
}
