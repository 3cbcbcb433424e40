/** The ends of a long id, which is what people compare. */
export function shorten(value: string, ends = 8): string {
  return value.length <= ends * 2 + 3 ? value : `${value.slice(0, ends)}…${value.slice(-ends)}`;
}
