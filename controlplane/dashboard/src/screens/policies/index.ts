import { Scale } from "lucide-react";
import type { Screen } from "../../app/screen.ts";

export const screen: Screen = {
  name: "policies",
  path: "/policies/*?",
  nav: {
    label: "Policies",
    icon: Scale,
    group: "trust",
    order: 20,
    key: "l",
    permission: "policies.read",
  },
  load: () => import("./policies.tsx"),
};
