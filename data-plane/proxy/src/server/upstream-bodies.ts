// The bodies that one request's calls send: mostly the same for all, so the newest is kept.

import type { ByteText, ClientProtocol, DecodedRequest, UpstreamBodyOptions } from "@meridian/wire";

export class UpstreamBodies {
  readonly #protocol: ClientProtocol;
  readonly #body: Buffer;
  readonly #text: ByteText;
  #kept:
    | { readonly model: string | undefined; readonly prefix: string; readonly body: Buffer }
    | undefined;

  /** `text`: the body, as bytes as text. */
  constructor(protocol: ClientProtocol, body: Buffer, text: ByteText) {
    this.#protocol = protocol;
    this.#body = body;
    this.#text = text;
  }

  for(request: DecodedRequest, options: UpstreamBodyOptions): Buffer {
    const { model, continues, assistantPrefix: prefix } = options;
    const kept = this.#kept;
    if (continues === undefined && kept?.model === model && kept?.prefix === prefix) {
      return kept.body;
    }
    const text = this.#protocol.upstreamBody(this.#text, request, options);
    const body = text === this.#text ? this.#body : Buffer.from(text, "latin1");
    if (continues === undefined) this.#kept = { model, prefix, body };
    return body;
  }
}
