// OpenAI's protocol: Chat Completions, legacy Completions, Embeddings, Models.

import type { ClientProtocol } from "../protocol.ts";
import { readCanary, renderCanary } from "./canary.ts";
import { renderError, renderStreamError } from "./errors.ts";
import { renderModel, renderModels } from "./models.ts";
import { findPrompt } from "./prompt.ts";
import { readRefusal } from "./refusal.ts";
import { decodeRequest } from "./request.ts";
import { readAnswer } from "./response.ts";
import { openStream } from "./stream.ts";
import { renderSeam, streamOf } from "./stream-frames.ts";
import { upstreamBody } from "./upstream-body.ts";

export const openai: ClientProtocol = {
  name: "openai",
  decodeRequest,
  findPrompt,
  upstreamBody,
  streamOf,
  renderSeam,
  readAnswer,
  openStream,
  readRefusal,
  renderError,
  renderStreamError,
  renderCanary,
  readCanary,
  renderModels,
  renderModel,
};
