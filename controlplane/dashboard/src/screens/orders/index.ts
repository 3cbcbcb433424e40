import { Send } from "lucide-react";
import type { Screen } from "../../app/screen.ts";

export const screen: Screen = {
  name: "orders",
  path: "/orders/*?",
  nav: {
    label: "Orders",
    icon: Send,
    group: "work",
    order: 40,
    key: "o",
    permission: "intents.read",
    onPhone: true,
  },
  load: () => import("./orders.tsx"),
};
