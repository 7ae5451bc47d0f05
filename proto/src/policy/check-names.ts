// Names of regions, backends, models, routes and tenants: well formed, and each once. They end up in headers, metrics,
// certificates and keys of the store.

import { type Findings, quote } from "./findings.ts";
import type { PolicyIndex } from "./policy-index.ts";

type Form = { readonly pattern: RegExp; readonly says: string };

/** As in certificates; see identity.ts. */
const strict: Form = {
  pattern: /^[a-z0-9][a-z0-9-]{0,62}$/,
  says: "lower-case letters, digits and hyphens, at most 63, the first no hyphen",
};
const plain: Form = {
  pattern: /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/,
  says: "letters, digits, dots, underscores and hyphens, at most 63, the first a letter or digit",
};
/** Models bear the names that their makers give them: meta-llama/Llama-3.3-70B-Instruct, llama3.2:3b */
const modelForm: Form = {
  pattern: /^[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,127}$/,
  says: "letters, digits and . _ : / @ + -, at most 128, the first a letter or digit",
};

/** Names and aliases of everything. */
export function checkNames({ policy, findings }: PolicyIndex): void {
  checkSection("regions", policy.regions, strict, findings);
  checkSection("backends", policy.backends, plain, findings);
  checkSection("models", policy.models, modelForm, findings);
  checkSection("routes", policy.routes, plain, findings);
  checkSection("tenants", policy.tenants, plain, findings);
  for (const [place, model] of policy.models.entries()) {
    for (const [second, alias] of model.aliases.entries()) {
      checkForm(alias, `models[${place}].aliases[${second}]`, modelForm, findings);
    }
  }
}

function checkSection(
  section: string,
  entries: readonly { readonly name: string }[],
  form: Form,
  findings: Findings,
): void {
  const seen = new Map<string, number>();
  for (const [place, { name }] of entries.entries()) {
    const path = `${section}[${place}].name`;
    checkForm(name, path, form, findings);
    const first = seen.get(name);
    if (first === undefined) {
      seen.set(name, place);
      continue;
    }
    const message = `${section}[${first}] is named ${quote(name)} too`;
    findings.refuse("duplicate_name", path, message, "give each a name of its own");
  }
}

function checkForm(name: string, path: string, form: Form, findings: Findings): void {
  if (form.pattern.test(name)) return;
  findings.refuse("invalid_name", path, `${quote(name)} can't be a name`, `use ${form.says}`);
}
