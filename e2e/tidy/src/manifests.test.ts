// Manifests: exact versions, licences, and a reason on record for each dependency.

import { expect, test } from "vitest";
import { files, read } from "./sources.ts";

type Manifest = {
  readonly name: string;
  readonly license?: string;
  readonly scripts?: { readonly [name: string]: string };
  readonly dependencies?: { readonly [name: string]: string };
  readonly devDependencies?: { readonly [name: string]: string };
  readonly optionalDependencies?: { readonly [name: string]: string };
};

const manifests = files(/(^|\/)package\.json$/).map((file) => ({
  file,
  // Parsed from our own files; a wrong shape fails the tests below.
  manifest: JSON.parse(read(file)) as Manifest,
}));

function dependenciesOf(manifest: Manifest): readonly (readonly [string, string])[] {
  return Object.entries({
    ...manifest.dependencies,
    ...manifest.devDependencies,
    ...manifest.optionalDependencies,
  });
}

test("every version is exact", () => {
  const loose = manifests.flatMap(({ file, manifest }) =>
    dependenciesOf(manifest)
      .filter(([, version]) => version !== "workspace:*" && !/^\d+\.\d+\.\d+$/.test(version))
      .map(([name, version]) => `${file}: ${name} ${version}`),
  );
  expect(loose).toEqual([]);
});

test("a package has the same version everywhere", () => {
  const versions = new Map<string, Set<string>>();
  for (const { manifest } of manifests) {
    for (const [name, version] of dependenciesOf(manifest)) {
      versions.set(name, (versions.get(name) ?? new Set()).add(version));
    }
  }
  expect([...versions].filter(([, set]) => set.size > 1).map(([name]) => name)).toEqual([]);
});

test("every dependency has its line in docs/dependencies.md, and every line its dependency", () => {
  const recorded = [...read("docs/dependencies.md").matchAll(/^\| `([^`]+)`/gm)].map(
    (found) => found[1] ?? "",
  );
  const used = new Set(
    manifests
      .flatMap(({ manifest }) => dependenciesOf(manifest).map(([name]) => name))
      .filter((name) => !name.startsWith("@meridian/")),
  );
  expect([...recorded].sort()).toEqual([...used].sort());
});

test("every package is under the Apache licence", () => {
  const other = manifests.filter(({ manifest }) => manifest.license !== "Apache-2.0");
  expect(other.map(({ file }) => file)).toEqual([]);
});
