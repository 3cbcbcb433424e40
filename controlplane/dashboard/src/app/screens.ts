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

/** Fetch the code of the screen at an address while the page still asks who is signed in. */
export function preload(path: string): void {
  const first = path.split("/")[1] ?? "";
  const screen = SCREENS.find((one) => (homeOf(one).split("/")[1] ?? "") === first);
  // What cannot be fetched is fetched again, and said, when the screen is shown.
  screen?.load().catch(() => {});
}

/** Where a screen's entry in the navigation leads. */
export function homeOf(screen: Screen): string {
  return screen.nav?.to ?? (screen.path.replace(/\/[:*].*$/, "") || "/");
}
