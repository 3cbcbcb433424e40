import { Webhook } from "lucide-react";
import type { Screen } from "../../app/screen.ts";

export const screen: Screen = {
  name: "webhooks",
  path: "/webhooks/*?",
  nav: {
    label: "Webhooks",
    icon: Webhook,
    group: "people",
    order: 30,
    key: "w",
    permission: "webhooks.read",
  },
  load: () => import("./webhooks.tsx"),
};
