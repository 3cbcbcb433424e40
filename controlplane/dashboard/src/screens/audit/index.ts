import { ScrollText } from "lucide-react";
import type { Screen } from "../../app/screen.ts";

export const screen: Screen = {
  name: "audit",
  path: "/audit/*?",
  nav: {
    label: "Audit",
    icon: ScrollText,
    group: "trust",
    order: 30,
    key: "u",
    permission: "audit.read",
  },
  load: () => import("./audit.tsx"),
};
