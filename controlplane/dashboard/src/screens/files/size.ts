// Sizes of files as people say them.

const UNITS = ["bytes", "KiB", "MiB", "GiB", "TiB"] as const;

/** A size with three digits at most, such as `12.3 MiB`. */
export function sizeOf(bytes: number): string {
  let [value, unit] = [bytes, 0];
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  if (unit === 0) return bytes === 1 ? "1 byte" : `${bytes} bytes`;
  return `${value.toFixed(value < 100 ? 1 : 0)} ${UNITS[unit]}`;
}
