import { Stamp } from "lucide-react";
import type { Screen } from "../../app/screen.ts";
import { useWaitingCount } from "./queue.ts";

export const screen: Screen = {
  name: "approvals",
  path: "/approvals/*?",
  nav: {
    label: "Approvals",
    icon: Stamp,
    group: "work",
    order: 20,
    key: "a",
    permission: "approvals.read",
    onPhone: true,
    useCount: useWaitingCount,
  },
  load: () => import("./approvals.tsx"),
};
