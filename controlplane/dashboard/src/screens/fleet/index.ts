import { useQuery } from "@tanstack/react-query";
import { Server } from "lucide-react";
import { useCan } from "../../api/me.ts";
import type { Screen } from "../../app/screen.ts";
import { waitingRequests } from "./queries.ts";

function useWaiting(): number {
  const may = useCan("enrolment.read");
  return useQuery({ ...waitingRequests, enabled: may }).data?.items.length ?? 0;
}

export const screen: Screen = {
  name: "fleet",
  path: "/fleet/*?",
  nav: {
    label: "Fleet",
    icon: Server,
    group: "work",
    order: 30,
    key: "f",
    onPhone: true,
    permission: "agents.read",
    useCount: useWaiting,
  },
  load: () => import("./fleet.tsx"),
};
