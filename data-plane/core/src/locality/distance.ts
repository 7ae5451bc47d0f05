// Distance on the Earth, as the stand-in for round-trip time until it is measured.

/** A place in degrees. */
export type Place = { readonly lat: number; readonly lon: number };

const earthRadiusKm = 6_371;

/** Great-circle distance in kilometres by the haversine formula (Sinnott, Virtues of the Haversine, 1984). */
export function distanceKm(a: Place, b: Place): number {
  const lat = radians(b.lat - a.lat) / 2;
  const lon = radians(b.lon - a.lon) / 2;
  const chord =
    Math.sin(lat) ** 2 + Math.cos(radians(a.lat)) * Math.cos(radians(b.lat)) * Math.sin(lon) ** 2;
  return 2 * earthRadiusKm * Math.asin(Math.min(1, Math.sqrt(chord)));
}

function radians(degrees: number): number {
  return (degrees * Math.PI) / 180;
}
