// Places of regions, and how far apart they are: the stand-in for round-trip time where none is measured.

/** A place in degrees. */
export type Place = { readonly lat: number; readonly lon: number };

const earthRadiusKm = 6_371;

/** Great-circle distance in kilometres by the haversine formula (Sinnott, Virtues of the Haversine, 1984). */
function distanceKm(a: Place, b: Place): number {
  const lat = radians(b.lat - a.lat) / 2;
  const lon = radians(b.lon - a.lon) / 2;
  const chord =
    Math.sin(lat) ** 2 + Math.cos(radians(a.lat)) * Math.cos(radians(b.lat)) * Math.sin(lon) ** 2;
  return 2 * earthRadiusKm * Math.asin(Math.min(1, Math.sqrt(chord)));
}

/** Half the Earth's circumference: farther than any place. */
const farKm = 20_038;

/** A region whose place nobody tells is far. */
export function kmBetween(a: Place | undefined, b: Place | undefined): number {
  return a === undefined || b === undefined ? farKm : distanceKm(a, b);
}

function radians(degrees: number): number {
  return (degrees * Math.PI) / 180;
}
