import { expect, test } from "vitest";
import { readRefusal } from "./refusal.ts";

const error = (message: string, more: object = {}) => ({ error: { message, ...more } });
const flat = (message: string) => ({
  object: "error",
  message,
  type: "BadRequestError",
  code: 400,
});

test.each<[string, object]>([
  ["OpenAI", error("The model `gpt-9` does not exist", { code: "model_not_found" })],
  [
    "Azure",
    error("The API deployment for this resource does not exist", { code: "DeploymentNotFound" }),
  ],
  ["vLLM", error("x", { type: "NotFoundError", code: 404 })],
  ["vLLM, by its message", error("The model `meta-llama/Llama-3.3-70B-Instruct` does not exist.")],
  ["vLLM of an adapter", error("The lora adapter 'sql/v1.2' cannot be found.")],
  ["SGLang", flat("The model `Qwen/Qwen2.5-7B` does not exist.")],
  ["SGLang of adapters", flat("The following requested LoRA adapters are not loaded: {'a'}")],
  ["SGLang of an adapter", flat("Got LoRA adapter that has never been loaded: a")],
  ["llama.cpp", error("model not found", { code: 400, type: "invalid_request_error" })],
  ["llama.cpp with a name", error("model 'qwen-2.5' is not loaded")],
  ["Ollama", error('model "llama3.3:70b" not found, try pulling it first', { type: "api_error" })],
  ["Ollama's own shape", { error: "model 'llama3.3' not found" }],
  ["TGI", { error: "no such model", error_type: "validation" }],
  ["FastAPI", { detail: "unknown model m" }],
  [
    "LiteLLM",
    error("/chat/completions: Invalid model name passed in model=llama-3.3", { code: "400" }),
  ],
  ["Groq", error("The model `m` has been decommissioned", { code: "model_decommissioned" })],
  ["a key of ours", error("API key not valid. Please pass a valid API key.", { code: 400 })],
  ["our account", error("Your credit balance is too low to access the API")],
  [
    "tools not switched on",
    error('"auto" tool choice requires --enable-auto-tool-choice to be set'),
  ],
  ["a fault of its own", error("boom", { type: "InternalServerError" })],
])("a refusal by %s is the target's fault", (_, body) => {
  expect(readRefusal(400, JSON.stringify(body))).toBe("target");
});

test.each<[string, object]>([
  [
    "OpenAI of length",
    error("This model's maximum context length is 4096 tokens.", {
      code: "context_length_exceeded",
    }),
  ],
  [
    "vLLM of length",
    error("This model's maximum context length is 4096 tokens. However, you requested 9"),
  ],
  [
    "llama.cpp of length",
    error("request exceeds the available context size", { type: "exceed_context_size_error" }),
  ],
  [
    "TGI of length",
    { error: "`inputs` tokens + `max_new_tokens` must be <= 4096", error_type: "validation" },
  ],
  ["Anthropic's words", error("prompt is too long: 9 tokens > 8 maximum")],
  [
    "OpenAI of a parameter",
    error("Unsupported parameter: 'logprobs'", { code: "unsupported_parameter" }),
  ],
  ["Ollama of tools", error("registry.ollama.ai/library/m:latest does not support tools")],
  ["a missing ability", error("model m does not support images")],
  ["vLLM of a field", flat("max_tokens must be at least 1, got 0.")],
  ["FastAPI of fields", { detail: [{ loc: ["body", "messages"], msg: "field required" }] }],
  [
    "an answer to no call",
    error("tool call id x of model m's answer was not found in the messages"),
  ],
  ["a bad model output", error("invalid model output format requested")],
  ["no words", {}],
])("a refusal by %s is the request's fault", (_, body) => {
  expect(readRefusal(400, JSON.stringify(body))).toBe("request");
});

test("a page that is no model server's is the target's fault, but for one about size", () => {
  expect(readRefusal(400, "<html>400 Bad Request</html>")).toBe("target");
  expect(readRefusal(400, "")).toBe("target");
  expect(readRefusal(413, "<html>413 Request Entity Too Large</html>")).toBe("request");
});

test("a long message is judged in no time", () => {
  const body = JSON.stringify(error(`model ${"a ".repeat(30_000)} not foun`));
  const start = performance.now();
  for (let index = 0; index < 100; index++) readRefusal(400, body);
  expect(performance.now() - start).toBeLessThan(2_000);
});
