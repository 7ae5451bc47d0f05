// `meridian pki`: the local authority and the certificates that all parts know each other by.

import { assertNever, err, ok, type Result } from "@meridian/proto/base";
import type { Identity } from "@meridian/proto/identity";
import { Command, Option } from "commander";
import {
  attempt,
  done,
  exitCodes,
  type Failure,
  failed,
  type Outcome,
  type Settle,
} from "../outcome.ts";
import type { FolderNote, InitOptions } from "./init.ts";

type IssueFlags = {
  readonly role: "control" | "proxy" | "operator";
  readonly region?: string;
  readonly name?: string;
  readonly authority: string;
  readonly out: string;
  readonly host: readonly string[];
};

export function pkiCommand(settle: Settle): Command {
  const pki = new Command("pki").description("make the certificates that all parts present");
  pki
    .command("init")
    .description(
      "make an authority, and certificates for the parts of each region; keeps what is there",
    )
    .requiredOption("--out <dir>", "folder to fill: ca/, control-REGION/, proxy-REGION/, operator/")
    .requiredOption("--region <name>", "a region; may be given several times", collect, [])
    .option("--host <name>", "further name or address of the servers; several times", collect, [])
    .action((flags: { out: string; region: readonly string[]; host: readonly string[] }) => {
      const options = { out: flags.out, regions: flags.region, hosts: flags.host };
      return settle(init({ ...options, now: new Date() }));
    });
  pki
    .command("issue")
    .description("make one certificate of an authority that exists")
    .addOption(
      new Option("--role <role>", "what it is for")
        .choices(["control", "proxy", "operator"])
        .makeOptionMandatory(),
    )
    .option("--region <name>", "region of a control plane or a proxy")
    .option("--name <name>", "name of an operator")
    .requiredOption("--authority <dir>", "folder with ca.pem and ca-key.pem")
    .requiredOption("--out <dir>", "folder to fill: ca.pem, cert.pem, key.pem")
    .option("--host <name>", "further name or address of the server; several times", collect, [])
    .action((flags: IssueFlags) => settle(issue(flags)));
  return pki;
}

// What makes certificates is loaded when it is needed: no other command should wait for it.
async function init(options: InitOptions): Promise<Outcome> {
  const { initPki } = await import("./init.ts");
  return attempt(initPki(options), told);
}

async function issue(flags: IssueFlags): Promise<Outcome> {
  const identity = identityOf(flags);
  if (identity.kind === "err") return failed(identity.error);
  const { authority, out, host } = flags;
  const request = { authority, out, identity: identity.value, hosts: host, now: new Date() };
  const { issuePki } = await import("./init.ts");
  return attempt(issuePki(request), (note) => told([note]));
}

function identityOf({ role, region, name }: IssueFlags): Result<Identity, Failure> {
  switch (role) {
    case "control":
    case "proxy":
      if (region !== undefined && name === undefined) return ok({ role, region });
      return err({ code: exitCodes.usage, message: `a ${role} needs --region, and no --name` });
    case "operator":
      if (name !== undefined && region === undefined) return ok({ role, name });
      return err({ code: exitCodes.usage, message: "an operator needs --name, and no --region" });
    default:
      return assertNever(role);
  }
}

function told(notes: readonly FolderNote[]): Outcome {
  return done(notes.map((each) => `${each.did}  ${each.folder}\n`).join(""));
}

function collect(value: string, former: readonly string[]): readonly string[] {
  return [...former, value];
}
