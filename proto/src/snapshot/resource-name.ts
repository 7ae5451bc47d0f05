// Names of resources: what kind of thing a resource is, and which one.

const kinds = ["backend", "model", "region", "route", "tenant"] as const;

export type ResourceKind = (typeof kinds)[number];

/** `backend/us-a`; a route also has its place in the order, `route/0003/chat`. */
export function resourceName(kind: Exclude<ResourceKind, "route">, name: string): string;
export function resourceName(kind: "route", name: string, place: number): string;
export function resourceName(kind: ResourceKind, name: string, place?: number): string {
  if (place === undefined) return `${kind}/${name}`;
  return `${kind}/${String(place).padStart(4, "0")}/${name}`;
}

/** undefined when the text is no name that `resourceName` makes. */
export function splitResourceName(
  text: string,
): { readonly kind: ResourceKind; readonly name: string; readonly place: number } | undefined {
  const slash = text.indexOf("/");
  const kind = kinds.find((each) => each === text.slice(0, slash));
  const rest = text.slice(slash + 1);
  if (kind === undefined || rest === "") return undefined;
  if (kind !== "route") return { kind, name: rest, place: 0 };
  const found = /^(\d{4})\/(.+)$/s.exec(rest);
  const name = found?.[2];
  return name === undefined ? undefined : { kind, name, place: Number(found?.[1]) };
}
