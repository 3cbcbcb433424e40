import { Waypoints } from "lucide-react";
import type { Screen } from "../../app/screen.ts";

export const screen: Screen = {
  name: "trust",
  path: "/trust/*?",
  nav: {
    label: "Trust graph",
    icon: Waypoints,
    group: "trust",
    order: 10,
    key: "t",
    permission: "delegations.read",
  },
  load: () => import("./trust.tsx"),
};
