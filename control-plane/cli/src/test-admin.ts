// For tests: an admin service of a few answers behind real mutual TLS, and the command run against it in this process.

import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { create } from "@bufbuild/protobuf";
import {
  type handleUnaryCall,
  Server,
  ServerCredentials,
  type ServiceDefinition,
  status,
  type UntypedServiceImplementation,
} from "@grpc/grpc-js";
import {
  AdminService,
  type ApplyRequest,
  type DrainRequest,
  type ExplainRequest,
  type GetRequest,
  type StatusRequest,
  type UndrainRequest,
  type ValidateRequest,
} from "@meridian/proto/gen/admin_pb";
import { serviceDefinition } from "@meridian/proto/grpc";
import { parseSubjectAltName } from "@meridian/proto/identity";
import { CommanderError } from "commander";
import { exitCodes, type Outcome } from "./outcome.ts";
import { noPaint } from "./paint.ts";
import { initPki, issuePki } from "./pki/init.ts";
import { makeProgram } from "./program.ts";

type Method = typeof AdminService.method;

/** What the service says to each call; a call without an answer here fails as not built. */
export type Answers = {
  readonly validate?: (request: ValidateRequest) => Answer<"validate">;
  readonly apply?: (request: ApplyRequest) => Answer<"apply">;
  readonly get?: (request: GetRequest) => Answer<"get">;
  readonly status?: (request: StatusRequest) => Answer<"status">;
  readonly drain?: (request: DrainRequest) => Answer<"drain">;
  readonly undrain?: (request: UndrainRequest) => Answer<"undrain">;
  readonly explain?: (request: ExplainRequest) => Answer<"explain">;
  readonly getVersion?: () => Answer<"getVersion">;
};

type Answer<K extends keyof Method> = MessageInitShape<Method[K]["output"]> | Refusal | "silence";

class Refusal {
  readonly code: status;
  readonly details: string;

  constructor(code: status, details: string) {
    this.code = code;
    this.details = details;
  }
}

/** The call fails with this status. */
export function refusal(code: status, details: string): Refusal {
  return new Refusal(code, details);
}

export class Pki {
  readonly folder = mkdtempSync(join(tmpdir(), "meridian-cli-"));

  static async make(now = new Date()): Promise<Pki> {
    const pki = new Pki();
    const made = await initPki({ out: pki.folder, regions: ["eu-west"], hosts: [], now });
    if (made.kind === "err") throw new Error(made.error.message);
    return pki;
  }

  /** Folder of a part's certificate: operator, proxy-eu-west, … */
  part(name: string): string {
    return join(this.folder, name);
  }

  /** An operator's certificate as one made at another time. */
  async issueAt(now: Date): Promise<string> {
    const out = this.part("former");
    const identity = { role: "operator", name: "former" } as const;
    await issuePki({ authority: this.part("ca"), out, identity, hosts: [], now });
    return out;
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

export type TestAdmin = { readonly address: string; readonly stop: () => void };

export async function startAdmin(pki: Pki, answers: Answers): Promise<TestAdmin> {
  const file = (name: string) => readFileSync(join(pki.part("control-eu-west"), name));
  const pair = { cert_chain: file("cert.pem"), private_key: file("key.pem") };
  const server = new Server();
  const definition = serviceDefinition(AdminService, Buffer.from);
  // Each serialiser takes its method's own message, which one type for all can't say.
  server.addService(definition as ServiceDefinition, handlers(answers));
  const credentials = ServerCredentials.createSsl(file("ca.pem"), [pair], true);
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", credentials, (cause, bound) =>
      cause === null ? resolve(bound) : reject(cause),
    );
  });
  return { address: `127.0.0.1:${port}`, stop: () => server.forceShutdown() };
}

function handlers(answers: Answers): UntypedServiceImplementation {
  const found: { [name: string]: handleUnaryCall<unknown, unknown> } = {};
  for (const method of AdminService.methods) {
    // Each answer takes its method's own request, which the definition has decoded.
    const answer = answers[method.localName as keyof Answers] as
      | ((request: unknown) => { [field: string]: unknown } | Refusal | "silence")
      | undefined;
    found[method.localName] = (call, send) => {
      const names = call.getAuthContext().sslPeerCertificate?.subjectaltname;
      if (parseSubjectAltName(names)?.role !== "operator") {
        send(new Refusal(status.PERMISSION_DENIED, "this needs the role operator"));
        return;
      }
      const said = answer?.(call.request) ?? new Refusal(status.UNIMPLEMENTED, "not here");
      if (said === "silence") return;
      if (said instanceof Refusal) send(said);
      else send(null, create(method.output, said));
    };
  }
  return found;
}

/** Runs the command in this process; what commander itself refuses is wrong use. */
export async function run(...args: readonly string[]): Promise<Outcome> {
  let outcome: Outcome = { code: exitCodes.ok, out: "", notes: "" };
  let notes = "";
  const program = makeProgram({
    settle: async (pending) => {
      outcome = await pending;
    },
    paint: noPaint,
    write: (out) => {
      outcome = { ...outcome, out };
    },
  });
  const output = {
    writeErr: (text: string) => {
      notes += text;
    },
    writeOut: () => undefined,
  };
  for (const each of [program, ...program.commands]) each.configureOutput(output);
  try {
    await program.parseAsync(args, { from: "user" });
    return outcome;
  } catch (cause) {
    if (!(cause instanceof CommanderError)) throw cause;
    return { code: exitCodes.usage, out: "", notes };
  }
}
