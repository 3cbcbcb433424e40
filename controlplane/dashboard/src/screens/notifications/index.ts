import type { Screen } from "../../app/screen.ts";

// Without an entry in the navigation: the bell beside it leads here, from every screen.
export const screen: Screen = {
  name: "notifications",
  path: "/notifications/*?",
  load: () => import("./notifications.tsx"),
};
