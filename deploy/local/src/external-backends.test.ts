import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { askBackend, modelName } from "./external-backends.ts";

/** A server that answers everything so. */
async function answering(status: number, body: string): Promise<string> {
  const server = createServer((_, response) => response.writeHead(status).end(body));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.close();
  });
  // A listening TCP server has an address with a port.
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

test.each([
  ["llama3.2:3b", "llama3.2:3b"],
  ["meta-llama/Llama-3.3-70B-Instruct", "meta-llama/Llama-3.3-70B-Instruct"],
  ["/models/my model.gguf", "models/my-model.gguf"],
  ["…", "model"],
])("a server's model %s is called %s", (as, name) => {
  expect(modelName(as)).toBe(name);
});

test("a server's models are asked for", async () => {
  const url = await answering(200, JSON.stringify({ data: [{ id: "a" }, { id: "b:1" }] }));
  const { models } = await askBackend({ kind: "openai", url });
  expect(models.map((each) => each.as)).toEqual(["a", "b:1"]);
});

test.each([
  [200, "{}", "no list of models"],
  [200, "<html>", "gave no models"],
  [500, "", "status 500"],
  [200, '{"data":[]}', "ollama pull"],
])("a server that answers %i %s is named with what is wrong", async (status, body, said) => {
  const url = await answering(status, body);
  await expect(askBackend({ kind: "ollama", url })).rejects.toThrow(said);
});
