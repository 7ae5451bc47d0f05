// Probes: a question that can be asked, and an answer that can be told right from wrong.

import type { Backend, Canary } from "../gen/meridian/v1/policy_pb.ts";
import { isPath } from "./check-url.ts";
import { type Findings, quote } from "./findings.ts";
import type { PolicyIndex } from "./policy-index.ts";

const limits = { maxTokens: 64, latencyMsMax: 600_000, patternLengthMax: 256 } as const;

export function checkProbes({ policy, findings }: PolicyIndex): void {
  for (const [place, backend] of policy.backends.entries()) {
    const { probe } = backend;
    if (probe === undefined) continue;
    const path = `backends[${place}].probe`;
    if (probe.path !== "" && !isPath(probe.path)) {
      const message = `${quote(probe.path)} is no path`;
      findings.refuse("invalid_text", `${path}.path`, message, "it starts with / and has no query");
    }
    if (probe.latencyMs > limits.latencyMsMax) {
      const message = `${probe.latencyMs} ms are longer than a canary is waited for`;
      findings.refuse(
        "out_of_range",
        `${path}.latencyMs`,
        message,
        `at most ${limits.latencyMsMax}`,
      );
    }
    if (probe.canary === undefined) continue;
    checkQuestion(probe.canary, `${path}.canary`, findings);
    checkModel(backend, probe.canary, { path: `${path}.canary`, findings });
  }
}

function checkQuestion(canary: Canary, path: string, findings: Findings): void {
  const { prompt, input, expect, pattern, maxTokens } = canary;
  if ((prompt === "") === (input === "")) {
    const message = "a canary has either a prompt (for chat) or an input (for embeddings)";
    findings.refuse("canary_unclear", path, message, "give one of them");
  } else if (prompt !== "" && (expect === "") === (pattern === "")) {
    const message = "a prompt needs either words to expect or a pattern";
    findings.refuse("canary_unclear", path, message, "give expect or pattern");
  } else if (input !== "" && (expect !== "" || pattern !== "" || maxTokens !== 0)) {
    const message = "an embedding is compared with its first vector, not with words";
    findings.refuse("canary_unclear", path, message, "take out expect, pattern and maxTokens");
  }
  if (maxTokens > limits.maxTokens) {
    const message = `${maxTokens} tokens are a costly probe`;
    findings.refuse("out_of_range", `${path}.maxTokens`, message, `at most ${limits.maxTokens}`);
  }
  if (pattern !== "") checkPattern(pattern, `${path}.pattern`, findings);
}

/** Proxies match it against short answers alone; a nested repeat could still take for ever. */
function checkPattern(pattern: string, path: string, findings: Findings): void {
  if (pattern.length > limits.patternLengthMax) {
    const message = `${pattern.length} characters are more than ${limits.patternLengthMax}`;
    findings.refuse("too_large", path, message, "a short pattern tells right from wrong");
    return;
  }
  if (/\([^()]*[*+}][^()]*\)[*+{]/.test(pattern)) {
    const message = "a repeat of a repeat may take for ever to match";
    findings.refuse("invalid_pattern", path, message, "write it without one");
    return;
  }
  try {
    RegExp(pattern, "iu");
  } catch {
    // The engine's message differs between versions; where it fails is seen by trying it.
    const message = "it is no regular expression";
    findings.refuse("invalid_pattern", path, message, "JavaScript's syntax with the flags i and u");
  }
}

function checkModel(
  { serves }: Backend,
  { model }: Canary,
  { path, findings }: { readonly path: string; readonly findings: Findings },
): void {
  if (model === "" || serves.some((each) => each.model === model)) return;
  const message = `the backend does not serve ${quote(model)}`;
  findings.refuse("dangling_name", `${path}.model`, message, "name one of its models");
}
