// What a screen is: a folder below `src/screens/` whose `index.ts` exports one of these as
// `screen`. Nothing else has to be told of it.
import type { LucideIcon } from "lucide-react";
import type { ComponentType } from "react";

export interface Screen {
  /** Of the folder. */
  name: string;
  /** Pattern of its addresses, such as `/fleet/*?`; the screen routes below it by itself. */
  path: string;
  /** Its entry in the navigation; a screen without is reached by links. */
  nav?: {
    label: string;
    icon: LucideIcon;
    /** Where it leads; the path before the pattern when left out. */
    to?: string;
    group: "work" | "trust" | "people";
    /** Within its group, lowest first. */
    order: number;
    /** Second key after `g`, such as `f` for `g f`. */
    key?: string;
    /** Only for who holds this. */
    permission?: string;
    /** On a phone, in the bar at the bottom. */
    onPhone?: boolean;
    /** A hook: how many things there wait for this person. */
    useCount?: () => number;
  };
  /** The screen itself, loaded when somebody goes there. */
  load: () => Promise<{ default: ComponentType }>;
}
