// Which events a webhook asks for, as patterns: a type, `family.*`, or `*`. Pure, so that it can be
// tried without a page.
import type { EventKindView } from "../../api/schema.gen.ts";

export const EVERYTHING = "*";

export interface Family {
  name: string;
  kinds: readonly EventKindView[];
}

/** The kinds by family, in the order they come. */
export function familiesOf(kinds: readonly EventKindView[]): Family[] {
  const found = new Map<string, EventKindView[]>();
  for (const one of kinds) found.set(one.family, [...(found.get(one.family) ?? []), one]);
  return [...found].map(([name, members]) => ({ name, kinds: members }));
}

const wholeOf = (family: Family): string => `${family.name}.*`;

export type Chosen = "all" | "some" | "none";

export function chosenOf(family: Family, patterns: readonly string[]): Chosen {
  if (patterns.includes(wholeOf(family))) return "all";
  return family.kinds.some(({ type }) => patterns.includes(type)) ? "some" : "none";
}

export function isChosen(type: string, family: Family, patterns: readonly string[]): boolean {
  return patterns.includes(type) || patterns.includes(wholeOf(family));
}

/** The whole family, or nothing of it. */
export function toggleFamily(family: Family, patterns: readonly string[]): string[] {
  const rest = without(family, patterns);
  return chosenOf(family, patterns) === "all" ? rest : [...rest, wholeOf(family)];
}

/** One kind more or less; a family of which every kind is chosen stays a list of kinds. */
export function toggleKind(type: string, family: Family, patterns: readonly string[]): string[] {
  const before = family.kinds.map((one) => one.type);
  const chosen = before.filter((one) => isChosen(one, family, patterns));
  const after = chosen.includes(type) ? chosen.filter((one) => one !== type) : [...chosen, type];
  return [...without(family, patterns), ...after];
}

function without(family: Family, patterns: readonly string[]): string[] {
  const its = new Set([wholeOf(family), ...family.kinds.map((one) => one.type)]);
  return patterns.filter((one) => !its.has(one));
}
