// Residency: in which regions a tenant's requests may be handled. Fails closed: what is not known to be allowed is not.

/** May a request bound to `residency` (empty: all regions) be handled in this region? */
export function allowsRegion(residency: readonly string[], region: string): boolean {
  return residency.length === 0 || residency.includes(region);
}
