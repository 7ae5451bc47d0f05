// Validate, Apply and Get: policies as operators handle them.

import { create } from "@bufbuild/protobuf";
import { status } from "@grpc/grpc-js";
import { assertNever, ok, type Problem, problem, type Result } from "@meridian/proto/base";
import {
  type ApplyRequest,
  type ApplyResponse,
  ApplyResponseSchema,
  type Change,
  type GetRequest,
  type GetResponse,
  GetResponseSchema,
  type ValidateRequest,
  type ValidateResponse,
  ValidateResponseSchema,
} from "@meridian/proto/gen/admin_pb";
import type { Version } from "@meridian/proto/gen/snapshot_pb";
import { checkDocumentSize } from "@meridian/proto/policy";
import { formatVersion } from "@meridian/proto/snapshot";
import { type CallRefusal, describe, refuse } from "../grpc/caller.ts";
import type { CallContext } from "../grpc/unary.ts";
import type { PolicyChecker } from "../policy/policy-checker.ts";
import {
  type Rows,
  readHead,
  readPolicy,
  readVersion,
  type StoredPolicy,
} from "../policy/policy-history.ts";
import type { PolicyStore, Put } from "../policy/policy-store.ts";
import type { Checked } from "../policy/policy-task.ts";
import type { Audit } from "./audit.ts";
import { changeMessages, conflictProblem, problemMessages } from "./messages.ts";

export type PoliciesOptions = {
  readonly checker: PolicyChecker;
  readonly store: PolicyStore;
  readonly rows: () => Rows;
  /** The version that is served; it may be older than the store's when that one is bad. */
  readonly served: () => Version | undefined;
  readonly audit: Audit;
};

const reasonLengthMax = 500;

export class Policies {
  readonly #options: PoliciesOptions;

  constructor(options: PoliciesOptions) {
    this.#options = options;
  }

  async validate({ document }: ValidateRequest): Promise<Result<ValidateResponse, CallRefusal>> {
    const checked = await this.#check(document, "");
    if (checked.kind === "err") return checked;
    const { problems, canonical } = checked.value;
    const inForce = this.#inForce()?.document;
    const changes = canonical === undefined ? ok([]) : await this.#diff(inForce, canonical);
    if (changes.kind === "err") return changes;
    return ok(
      create(ValidateResponseSchema, {
        problems: problemMessages(problems),
        changes: changes.value,
      }),
    );
  }

  async apply(
    request: ApplyRequest,
    context: CallContext<"operator">,
  ): Promise<Result<ApplyResponse, CallRefusal>> {
    const checked = await this.#check(request.document, request.reason);
    if (checked.kind === "err") return checked;
    const { problems, canonical } = checked.value;
    if (canonical === undefined) {
      return ok(create(ApplyResponseSchema, { problems: problemMessages(problems) }));
    }
    const { reason, expected } = request;
    const candidate = { document: canonical, author: describe(context.caller), reason, expected };
    const put = await this.#options.store.put(candidate, context.deadline);
    this.#audit(put, request, context);
    return this.#answer(put, { ...checked.value, canonical }, expected);
  }

  async get({ version }: GetRequest): Promise<Result<GetResponse, CallRefusal>> {
    const found = version === undefined ? this.#inForce() : this.#former(version);
    if (found === undefined) {
      const details =
        version === undefined
          ? "no policy has been applied yet"
          : `no policy ${formatVersion(version)} is kept`;
      return refuse(status.NOT_FOUND, details);
    }
    const { manifest, document } = found;
    const { author, reason, appliedMs } = manifest;
    const said = { version: manifest.version, author, reason, appliedMs: BigInt(appliedMs) };
    return ok(create(GetResponseSchema, { ...said, document }));
  }

  async #answer(
    put: Put,
    checked: Checked & { readonly canonical: Uint8Array },
    expected: Version | undefined,
  ): Promise<Result<ApplyResponse, CallRefusal>> {
    const problems = problemMessages(checked.problems);
    switch (put.kind) {
      case "stored": {
        const { version } = put;
        const changes = await this.#diff(put.former, checked.canonical);
        // It is in force, whatever became of the list of changes.
        const told = changes.kind === "ok" ? changes.value : [];
        return ok(create(ApplyResponseSchema, { version, problems, changes: told }));
      }
      case "unchanged":
        return ok(create(ApplyResponseSchema, { version: put.version, problems, unchanged: true }));
      case "conflict": {
        const refusal = conflictProblem(expected, put.inForce);
        const changes = await this.#changesBetween(expected, put.inForce);
        const response = { problems: problemMessages([refusal, ...checked.problems]), changes };
        return ok(create(ApplyResponseSchema, response));
      }
      case "unavailable":
        return refuse(status.UNAVAILABLE, `the policy may not be in force: ${put.message}`);
      default:
        return assertNever(put);
    }
  }

  async #check(document: Uint8Array, reason: string): Promise<Result<Checked, CallRefusal>> {
    const early = [checkDocumentSize(document.length), checkReason(reason)];
    const problems = early.filter((each) => each !== undefined);
    if (problems.length > 0) return ok({ problems, canonical: undefined });
    return orRefusal(await this.#options.checker.check(document));
  }

  async #diff(
    before: Uint8Array | undefined,
    after: Uint8Array,
  ): Promise<Result<Change[], CallRefusal>> {
    const changes = orRefusal(await this.#options.checker.diff(before, after));
    return changes.kind === "ok" ? ok(changeMessages(changes.value)) : changes;
  }

  async #changesBetween(from: Version | undefined, to: Version | undefined): Promise<Change[]> {
    const before = from === undefined ? undefined : this.#former(from);
    const after = to === undefined ? undefined : this.#former(to);
    if (before === undefined || after === undefined) return [];
    const changes = await this.#diff(before.document, after.document);
    return changes.kind === "ok" ? changes.value : [];
  }

  /** What the store says is in force; if that can't be read, what is served. */
  #inForce(): StoredPolicy | undefined {
    const rows = this.#options.rows();
    const head = readHead(rows)?.head;
    const read = head?.kind === "ok" ? readPolicy(rows, head.value) : undefined;
    if (read?.kind === "ok") return read.value;
    const served = this.#options.served();
    return served === undefined ? undefined : this.#former(served);
  }

  #former(version: Version): StoredPolicy | undefined {
    const read = readVersion(this.#options.rows(), version);
    return read.kind === "ok" ? read.value : undefined;
  }

  #audit(put: Put, { reason, expected }: ApplyRequest, context: CallContext<"operator">): void {
    const what = {
      outcome: put.kind,
      version: "version" in put ? formatVersion(put.version) : undefined,
      expected: expected === undefined ? undefined : formatVersion(expected),
      reason,
    };
    this.#options.audit("apply", context, what);
  }
}

function checkReason(reason: string): Problem | undefined {
  if (reason.length <= reasonLengthMax) return undefined;
  return problem(
    "too_large",
    "reason",
    "the reason is too long",
    `at most ${reasonLengthMax} characters`,
  );
}

/** The worker is busy or has failed: nothing was changed. */
function orRefusal<T>(result: Result<T, Problem>): Result<T, CallRefusal> {
  if (result.kind === "ok") return result;
  const { code, message, hint } = result.error;
  const isBusy = code === "overloaded";
  return refuse(isBusy ? status.RESOURCE_EXHAUSTED : status.INTERNAL, `${message}; ${hint}`);
}
