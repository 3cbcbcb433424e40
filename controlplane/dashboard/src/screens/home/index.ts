import { House } from "lucide-react";
import type { Screen } from "../../app/screen.ts";

export const screen: Screen = {
  name: "home",
  path: "/",
  nav: { label: "Home", icon: House, group: "work", order: 10, key: "h", onPhone: true },
  load: () => import("./home.tsx"),
};
