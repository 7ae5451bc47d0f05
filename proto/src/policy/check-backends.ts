// Backends: where they stand, what they serve, and that this build can speak to them.

import { type Backend, Protocol } from "../gen/meridian/v1/policy_pb.ts";
import { checkUrl, isPath } from "./check-url.ts";
import { checkWord } from "./check-word.ts";
import { type Findings, quote } from "./findings.ts";
import { checkReference, type PolicyIndex } from "./policy-index.ts";
import { assistantPrefixes } from "./words.ts";

const weightMax = 1_000;

export function checkBackends(index: PolicyIndex): void {
  const { policy, findings } = index;
  for (const [place, backend] of policy.backends.entries()) {
    const path = `backends[${place}]`;
    const { region, url, weight } = backend;
    checkReference(index, { kind: "region", name: region, path: `${path}.region` });
    checkUrl(url, { path: `${path}.url`, findings });
    checkServes(index, backend, path);
    checkProtocol(index, backend, path);
    checkPrefix(backend, path, findings);
    checkMetricsPath(backend, path, findings);
    if (weight !== undefined && !(weight >= 0 && weight <= weightMax)) {
      const code = weight < 0 ? "negative" : "out_of_range";
      const hint = `weights are from 0 to ${weightMax}; 0 sends nothing`;
      findings.refuse(code, `${path}.weight`, `${weight} is no weight`, hint);
    }
  }
  warnOfSameServer(index);
}

function checkServes(index: PolicyIndex, backend: Backend, path: string): void {
  const seen = new Map<string, number>();
  for (const [place, { model }] of backend.serves.entries()) {
    const at = `${path}.serves[${place}].model`;
    checkReference(index, { kind: "model", name: model, path: at });
    const first = seen.get(model);
    if (first === undefined) {
      seen.set(model, place);
      continue;
    }
    const message = `${quote(model)} stands at ${path}.serves[${first}] already`;
    index.findings.refuse("duplicate", at, message, "name each model once");
  }
}

/** Refused rather than taken and failed on at every request. */
function checkProtocol({ findings }: PolicyIndex, { protocol }: Backend, path: string): void {
  if (protocol === Protocol.PROTOCOL_UNSPECIFIED || protocol === Protocol.openai) return;
  const isOllama = protocol === Protocol.ollama;
  const hint = isOllama
    ? "Ollama speaks openai too, under /v1: leave the protocol out"
    : "use a server that speaks openai, or a gateway before this one";
  const message = `backends that speak ${isOllama ? "ollama" : "anthropic"} are not served yet`;
  findings.refuse("not_supported", `${path}.protocol`, message, hint);
}

function checkPrefix({ assistantPrefix }: Backend, path: string, findings: Findings): void {
  if (assistantPrefix === "") return;
  checkWord(assistantPrefixes, assistantPrefix, { path: `${path}.assistantPrefix`, findings });
}

function checkMetricsPath({ metricsPath }: Backend, path: string, findings: Findings): void {
  if (metricsPath === "" || metricsPath === "none" || isPath(metricsPath)) return;
  const message = `${quote(metricsPath)} is no path`;
  const hint = "it starts with / and has no query; none: its metrics are not read";
  findings.refuse("invalid_text", `${path}.metricsPath`, message, hint);
}

/** Two backends that are one server get twice the requests that it was meant to get. */
function warnOfSameServer({ policy, findings }: PolicyIndex): void {
  const seen = new Map<string, string>();
  for (const [place, { region, url, serves }] of policy.backends.entries()) {
    for (const { model } of serves) {
      const key = `${region}\n${url.replace(/\/$/, "")}\n${model}`;
      const path = `backends[${place}].url`;
      const first = seen.get(key);
      if (first === undefined) {
        seen.set(key, path);
      } else if (first !== path) {
        const message = `serves ${quote(model)} at the URL of ${first.slice(0, -4)}`;
        findings.warn("duplicate_url", path, message, "merge them, or correct the URL");
        break;
      }
    }
  }
}
