import type { Screen } from "../../app/screen.ts";

/** Reached from the menu of the person. */
export const screen: Screen = {
  name: "account",
  path: "/account",
  load: () => import("./account.tsx"),
};
