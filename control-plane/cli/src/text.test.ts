import { create } from "@bufbuild/protobuf";
import { problem, warning } from "@meridian/proto/base";
import { ApplyResponseSchema, StatusResponseSchema } from "@meridian/proto/gen/admin_pb";
import { expect, test } from "vitest";
import { completionScript } from "./completion.ts";
import { parseDuration } from "./durations.ts";
import { noPaint } from "./paint.ts";
import { makeProgram } from "./program.ts";
import { renderChanges, renderProblems, renderStatus } from "./render.ts";
import { applyCode } from "./run-policy.ts";
import { formatTable } from "./table.ts";
import { parseVersion } from "./versions.ts";

test.each([
  ["90s", 90],
  ["30m", 1_800],
  ["1h30m", 5_400],
  ["1d", 86_400],
])("%s is %d seconds", (text, seconds) => {
  expect(parseDuration(text)).toEqual({ kind: "ok", value: seconds });
});

test.each(["", "30", "m", "-5m", "5 m", "1h 30m", "0s", "1.5h", "1w"])(
  "%j is no length of time",
  (text) => {
    expect(parseDuration(text).kind).toBe("err");
  },
);

test("versions are read as two whole numbers, and nothing else", () => {
  expect(parseVersion("1.42")).toEqual({ kind: "ok", value: { epoch: 1n, sequence: 42n } });
  for (const text of ["", "1", "1.", ".2", "1.2.3", "a.b", "-1.2", "1 .2"]) {
    expect(parseVersion(text).kind).toBe("err");
  }
});

test("columns are as wide as their longest cell, numbers to the right", () => {
  const columns = [{ title: "NAME" }, { title: "N", align: "right" }] as const;
  expect(
    formatTable(columns, [
      ["a", "1"],
      ["longer", "100"],
    ]),
  ).toBe("NAME      N\na         1\nlonger  100\n");
  expect(formatTable(columns, [])).toBe("");
});

test("what a terminal would obey is left out, and a cell stays one line", () => {
  const columns = [{ title: "NOTE" }];
  expect(formatTable(columns, [["a\nb\u001b[2Jc\u202e"]])).toBe("NOTE\na b[2Jc\n");
  const hostile = problem("blank", "a\u001b]0;x\u0007", "two\r\nlines");
  expect(renderProblems([hostile], noPaint)).toBe("refused  blank at a]0;x: two lines\n");
});

test("problems that refuse come before warnings", () => {
  const problems = [warning("open_access", "tenants", "none"), problem("blank", "a.b", "is blank")];
  const lines = renderProblems(problems, noPaint).trimEnd().split("\n");
  expect(lines).toEqual([
    "refused  blank at a.b: is blank",
    "warning  open_access at tenants: none",
  ]);
});

test("changes are told in one line each", () => {
  const { changes } = create(ApplyResponseSchema, {
    changes: [
      { kind: 1, resource: "backend/a", detail: "" },
      { kind: 3, resource: "route/r", detail: "weight 1 → 2" },
    ],
  });
  expect(renderChanges(changes)).toBe("+ backend/a\n~ route/r: weight 1 → 2\n");
});

test("a conflict, a refusal and a success have codes of their own", () => {
  const code = (codes: readonly string[], isWarning: boolean) =>
    applyCode(
      create(ApplyResponseSchema, {
        problems: codes.map((each) => ({ code: each, warning: isWarning })),
      }),
    );
  expect(code(["conflict"], false)).toBe(4);
  expect(code(["blank"], false)).toBe(1);
  expect(code(["open_access"], true)).toBe(0);
});

test("status tells of a digest that never came and of a drain that ends", () => {
  const status = create(StatusResponseSchema, {
    policy: { epoch: 1n, sequence: 7n },
    regions: [
      { name: "eu", state: "unknown", ageMs: 4_294_967_295 },
      { name: "us", state: "draining", ageMs: 900, drainedUntilMs: 360_000n, reason: "test" },
    ],
  });
  const text = renderStatus(status, 60_000);
  expect(text).toContain("policy 1.7");
  expect(text).toMatch(/eu +unknown .*never/);
  expect(text).toContain("drained for another 5 min: test");
});

const program = makeProgram({
  settle: async () => undefined,
  paint: noPaint,
  write: () => undefined,
});

test.each(["bash", "zsh", "fish"] as const)("the %s completion names every command", (shell) => {
  const script = completionScript(program, shell);
  for (const command of program.commands) expect(script).toContain(command.name());
  expect(script).toContain("expected");
});

test.each([
  [["drain", "planet", "x", "--for", "5m"], /invalid for argument/],
  [["apply"], /required option/],
  [["status", "-o", "xml"], /Allowed choices/],
  [["status", "--timeout", "0"], /seconds/],
  [["nonsense"], /unknown command/],
])("%j is wrong use", async (args, message) => {
  const fresh = makeProgram({
    settle: async () => undefined,
    paint: noPaint,
    write: () => undefined,
  });
  const quiet = { writeErr: () => undefined };
  fresh.configureOutput(quiet);
  for (const each of fresh.commands) each.configureOutput(quiet);
  await expect(fresh.parseAsync(args, { from: "user" })).rejects.toThrow(message);
});
