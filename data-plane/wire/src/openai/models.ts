// The list of models in OpenAI's shape. `created` is constant: the router did not make the models.

import { asciiJson, type ByteText } from "../byte-text.ts";

export function renderModels(names: readonly string[]): ByteText {
  return asciiJson({ object: "list", data: names.map(modelObject) });
}

export function renderModel(name: string): ByteText {
  return asciiJson(modelObject(name));
}

function modelObject(id: string): object {
  return { id, object: "model", created: 0, owned_by: "meridian" };
}
