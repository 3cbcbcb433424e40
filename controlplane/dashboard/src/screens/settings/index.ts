import { Settings } from "lucide-react";
import type { Screen } from "../../app/screen.ts";

export const screen: Screen = {
  name: "settings",
  path: "/settings",
  nav: {
    label: "Settings",
    icon: Settings,
    group: "people",
    order: 20,
    key: "s",
    permission: "settings.read",
  },
  load: () => import("./settings.tsx"),
};
