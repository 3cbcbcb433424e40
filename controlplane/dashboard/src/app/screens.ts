// The table of screens, made of the folders there are.
import { type ComponentType, type LazyExoticComponent, lazy } from "react";
import type { Screen } from "./screen.ts";

const found = import.meta.glob<Screen>("../screens/*/index.ts", { eager: true, import: "screen" });
const GROUPS = ["work", "trust", "people"] as const;

export interface KnownScreen extends Screen {
  Component: LazyExoticComponent<ComponentType>;
}

const place = (screen: Screen): number =>
  screen.nav ? GROUPS.indexOf(screen.nav.group) * 1000 + screen.nav.order : Infinity;

export const SCREENS: readonly KnownScreen[] = Object.values(found)
  .sort((a, b) => place(a) - place(b))
  .map((screen) => ({ ...screen, Component: lazy(screen.load) }));

/** Where a screen's entry in the navigation leads. */
export function homeOf(screen: Screen): string {
  return screen.nav?.to ?? (screen.path.replace(/\/[:*].*$/, "") || "/");
}
