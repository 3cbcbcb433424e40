import { Files } from "lucide-react";
import type { Screen } from "../../app/screen.ts";

export const screen: Screen = {
  name: "files",
  path: "/files/:id?",
  nav: {
    label: "Files",
    icon: Files,
    group: "work",
    order: 50,
    key: "i",
    permission: "files.read",
  },
  load: () => import("./files.tsx"),
};
