// Calls to a control plane: which one, with which certificate, and what a failed call means for the caller.

import { existsSync, readFileSync } from "node:fs";
import { isIP } from "node:net";
import { join } from "node:path";
import type {
  DescMessage,
  DescMethodUnary,
  MessageInitShape,
  MessageShape,
} from "@bufbuild/protobuf";
import type { ServiceError } from "@grpc/grpc-js";
import { err, ok, parseAddress, type Result } from "@meridian/proto/base";
import { exitCodes, type Failure } from "./outcome.ts";

/** Where `npm start` puts what an operator needs. */
export const defaults = { server: "127.0.0.1:8831", tlsDir: ".meridian/pki/operator" } as const;

export type ConnectionOptions = {
  /** host:port, tried in turn. */
  readonly servers: readonly string[];
  readonly tlsDir: string;
  /** For one call to one server. */
  readonly timeoutMs: number;
};

/** Asks the first control plane that answers. Others are tried only where nothing can have happened yet. */
export async function call<I extends DescMessage, O extends DescMessage>(
  options: ConnectionOptions,
  method: DescMethodUnary<I, O>,
  request: MessageInitShape<I>,
): Promise<Result<MessageShape<O>, Failure>> {
  const files = readCertificate(options.tlsDir);
  if (files.kind === "err") return files;
  const wrong = options.servers.find((each) => parseAddress(each) === undefined);
  if (wrong !== undefined || options.servers.length === 0) {
    const message = `"${wrong ?? ""}" is no server: host:port is needed, several with commas`;
    return err({ code: exitCodes.usage, message });
  }
  const failures: Failure[] = [];
  for (const server of options.servers) {
    const answer = await callOne({ server, files: files.value, options }, method, request);
    if (answer.kind === "ok") return answer;
    failures.push(answer.error.failure);
    if (!answer.error.isSafeElsewhere) break;
  }
  const message = failures.map((each) => each.message).join("\nmeridian: ");
  return err({ code: failures.at(-1)?.code ?? exitCodes.unreachable, message });
}

type CertificateFiles = { readonly ca: Buffer; readonly cert: Buffer; readonly key: Buffer };

function readCertificate(folder: string): Result<CertificateFiles, Failure> {
  const missing = ["ca.pem", "cert.pem", "key.pem"].filter(
    (name) => !existsSync(join(folder, name)),
  );
  if (missing.length > 0) {
    const message = `${folder} has no ${missing.join(", ")}: name the folder of your certificate with --tls-dir or MERIDIAN_TLS_DIR, or make one: meridian pki issue --role operator --name YOU --authority DIR --out DIR`;
    return err({ code: exitCodes.denied, message });
  }
  const read = (name: string) => readFileSync(join(folder, name));
  return ok({ ca: read("ca.pem"), cert: read("cert.pem"), key: read("key.pem") });
}

type Call = {
  readonly server: string;
  readonly files: CertificateFiles;
  readonly options: ConnectionOptions;
};

type Refused = { readonly failure: Failure; readonly isSafeElsewhere: boolean };

async function callOne<I extends DescMessage, O extends DescMessage>(
  { server, files, options }: Call,
  method: DescMethodUnary<I, O>,
  request: MessageInitShape<I>,
): Promise<Result<MessageShape<O>, Refused>> {
  // Loaded here: `meridian --help` has no need of them.
  const [{ Client, credentials, Metadata, status }, { create }, { methodDefinition }] =
    await Promise.all([
      import("@grpc/grpc-js"),
      import("@bufbuild/protobuf"),
      import("@meridian/proto/grpc"),
    ]);
  const { path, requestSerialize, responseDeserialize } = methodDefinition(method, (bytes) =>
    Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength),
  );
  const secure = credentials.createSsl(files.ca, files.key, files.cert);
  const client = new Client(server, secure, {
    "grpc.max_receive_message_length": 64 * 1024 * 1024,
    ...serverName(server),
  });
  const deadline = Date.now() + options.timeoutMs;
  const answer = await new Promise<Result<MessageShape<O>, ServiceError>>((resolve) => {
    client.makeUnaryRequest(
      path,
      // The definition's serialiser takes the method's own request.
      requestSerialize as (value: MessageShape<I>) => Buffer,
      responseDeserialize as (bytes: Buffer) => MessageShape<O>,
      create(method.input, request),
      new Metadata(),
      { deadline },
      (error, value) => {
        if (error === null && value !== undefined) resolve(ok(value));
        else resolve(err(error ?? emptyAnswer()));
      },
    );
  });
  client.close();
  return answer.kind === "ok" ? answer : err(explain(server, answer.error, status));
}

/** TLS has no server names for bare addresses; every certificate of ours is also localhost's. */
function serverName(server: string): { readonly [option: string]: string } {
  const host = parseAddress(server)?.host ?? "";
  return isIP(host) === 0 ? {} : { "grpc.ssl_target_name_override": "localhost" };
}

/** A call that ended with neither an error nor an answer. */
function emptyAnswer(): ServiceError {
  return Object.assign(new Error("no answer"), { code: 2, details: "no answer", metadata: {} }) as
    // Only code and details are read.
    ServiceError;
}

/** gRPC's own status to an exit code, and to words that say what to do. */
function explain(
  server: string,
  error: ServiceError,
  status: typeof import("@grpc/grpc-js").status,
): Refused {
  const said = error.details === "" ? error.message : error.details;
  const refused = (code: Failure["code"], message: string, isSafeElsewhere = false): Refused => ({
    failure: { code, message },
    isSafeElsewhere,
  });
  switch (error.code) {
    case status.UNAVAILABLE: {
      const isUntouched = /No connection established|ECONNREFUSED|failed to connect/i.test(said);
      if (/certificate|SSL|TLS|handshake/i.test(said)) {
        return refused(
          exitCodes.denied,
          `${server} and this certificate don't trust each other: ${said}`,
        );
      }
      const message = `${server} can't be reached or can't reach its store: ${said}`;
      return refused(exitCodes.unreachable, message, isUntouched);
    }
    case status.DEADLINE_EXCEEDED:
      return refused(
        exitCodes.unreachable,
        `${server} did not answer in time (--timeout): ${said}`,
      );
    case status.PERMISSION_DENIED:
    case status.UNAUTHENTICATED:
      return refused(exitCodes.denied, `${server} refuses this certificate: ${said}`);
    default:
      return refused(exitCodes.refused, `${server}: ${said}`);
  }
}
