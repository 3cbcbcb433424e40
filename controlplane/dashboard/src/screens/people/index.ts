import { Users } from "lucide-react";
import type { Screen } from "../../app/screen.ts";

export const screen: Screen = {
  name: "people",
  path: "/people/*?",
  nav: {
    label: "People",
    icon: Users,
    group: "people",
    order: 10,
    key: "p",
    permission: "users.read",
  },
  load: () => import("./people.tsx"),
};
