// How much this person has not read yet, live, and the way there.
import { useQuery } from "@tanstack/react-query";
import { Bell as BellIcon } from "lucide-react";
import { Link, useLocation } from "wouter";
import { api } from "../api/client.ts";
import { useCan } from "../api/me.ts";
import { classes } from "../ui/classes.ts";
import { useHotkeys } from "./hotkeys.ts";

const HOME = "/notifications";

export function Bell() {
  const [location, go] = useLocation();
  const may = useCan("notifications.read");
  const unread = useQuery({
    queryKey: ["notifications", "unread"],
    enabled: may,
    queryFn: ({ signal }) => api.get("/api/v1/notifications/unread", { signal }),
  });
  useHotkeys(may ? [{ keys: "g n", does: "Go to Notifications", run: () => go(HOME) }] : []);
  if (!may) return null;
  const count = unread.data?.unread ?? 0;
  const here = location === HOME || location.startsWith(`${HOME}/`);
  const label = count > 0 ? `Notifications, ${count} unread` : "Notifications";
  return (
    <Link
      to={HOME}
      aria-label={label}
      aria-current={here ? "page" : undefined}
      title={label}
      className={classes(
        "relative grid size-8 place-items-center rounded-md pointer-coarse:size-10",
        here ? "bg-chosen text-accent-ink" : "text-muted hover:bg-hover hover:text-ink",
      )}
    >
      <BellIcon aria-hidden className="size-4" />
      {count > 0 && (
        <span
          aria-hidden
          className="tabular absolute top-0 right-0 min-w-4 translate-x-1/4 rounded-full bg-accent px-1 text-center text-2xs/4 font-semibold text-on-accent"
        >
          {count > 99 ? "99+" : count}
        </span>
      )}
    </Link>
  );
}
