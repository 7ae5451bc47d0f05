import { expect, test } from "vitest";
import { parseOptions } from "./options.ts";

test("without options it runs on the default ports with simulated backends", () => {
  expect(parseOptions([])).toMatchObject({
    kind: "run",
    options: { basePort: 8801, store: "embedded", backends: [], isFresh: false },
  });
});

test("a real backend is named by kind and address, with or without /v1", () => {
  const parsed = parseOptions([
    "--backend",
    "openai=http://127.0.0.1:8080/v1/",
    "--backend",
    "ollama=http://127.0.0.1:11434",
  ]);
  expect(parsed).toMatchObject({
    options: {
      backends: [
        { kind: "openai", url: "http://127.0.0.1:8080" },
        { kind: "ollama", url: "http://127.0.0.1:11434" },
      ],
    },
  });
});

test("everything wrong is said at once", () => {
  const parsed = parseOptions(["--port", "80", "--backend", "tgi=http://x", "--backend", "openai"]);
  expect(parsed).toMatchObject({ kind: "wrong" });
  if (parsed.kind === "wrong") expect(parsed.problems).toHaveLength(3);
});

test("an unknown option is refused", () => {
  expect(parseOptions(["--fast"]).kind).toBe("wrong");
});
