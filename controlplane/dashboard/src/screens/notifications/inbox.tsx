// The inbox: newest first, what is unread marked, each leading to what it is about.
import { useMutation, useQueryClient } from "@tanstack/react-query";
import {
  Bell,
  Check,
  CheckCheck,
  CircleX,
  GitFork,
  Hand,
  type LucideIcon,
  OctagonPause,
  UserRoundPlus,
  Webhook,
} from "lucide-react";
import { Link, useSearchParams } from "wouter";
import { api } from "../../api/client.ts";
import { usePages } from "../../api/pages.ts";
import type { NotificationView } from "../../api/schema.gen.ts";
import { Section } from "../../app/page.tsx";
import { Mark } from "../../ui/badge.tsx";
import { Button, IconButton } from "../../ui/button.tsx";
import { Choice } from "../../ui/choice.tsx";
import { classes } from "../../ui/classes.ts";
import { inert } from "../../ui/inert.ts";
import { Empty, Failed, Waiting } from "../../ui/notes.tsx";
import { Ago } from "../../ui/time.tsx";
import { toastProblem } from "../../ui/toasts.tsx";
import { placeOf } from "./places.ts";

const A_PAGE = 50;
const SHOWN = [
  [false, "All"],
  [true, "Unread"],
] as const;
const ICONS: Record<string, LucideIcon> = {
  approvals: Hand,
  registrations: UserRoundPlus,
  agents: OctagonPause,
  webhooks: Webhook,
  record: GitFork,
  orders: CircleX,
};

function useInbox(unread: boolean) {
  return usePages<NotificationView>(
    ["notifications", "list", unread],
    ({ limit, cursor }, signal) =>
      api.get("/api/v1/notifications", { query: { limit, cursor, unread }, signal }),
    { limit: A_PAGE },
  );
}

export function Inbox() {
  const client = useQueryClient();
  const [params, setParams] = useSearchParams();
  const unread = params.has("unread");
  const inbox = useInbox(unread);
  const after = {
    onSuccess: () => client.invalidateQueries({ queryKey: ["notifications"] }),
    onError: toastProblem,
  };
  const read = useMutation({
    mutationFn: (id: string) => api.post("/api/v1/notifications/{id}/read", { path: { id } }),
    ...after,
  });
  const readAll = useMutation({
    mutationFn: () => api.post("/api/v1/notifications/read"),
    ...after,
  });
  const anyUnread = inbox.items.some((one) => one.readAt === null);
  return (
    <Section
      title="Inbox"
      flush
      actions={
        <>
          <Choice
            label="Which notifications"
            options={SHOWN}
            value={unread}
            onChoose={(one) => setParams(one ? { unread: "" } : {}, { replace: true })}
          />
          <Button
            size="sm"
            icon={CheckCheck}
            busy={readAll.isPending}
            disabled={!anyUnread}
            onClick={() => readAll.mutate()}
          >
            Mark all read
          </Button>
        </>
      }
    >
      {inbox.isPending ? (
        <Waiting lines={5} />
      ) : inbox.isError && !inbox.data ? (
        <Failed error={inbox.error} onRetry={() => void inbox.refetch()} />
      ) : inbox.items.length === 0 ? (
        <Empty icon={Bell} title={unread ? "You have read everything" : "Nothing yet"}>
          {!unread &&
            "Calls that wait for you, agents that ask to join or were stopped, and orders of yours that failed are told here."}
        </Empty>
      ) : (
        <ul aria-label="Notifications">
          {inbox.items.map((one) => (
            <Item key={one.id} notification={one} onRead={() => read.mutate(one.id)} />
          ))}
        </ul>
      )}
      {inbox.more && (
        <div className="border-t border-line p-2 text-center">
          <Button size="sm" look="quiet" onClick={inbox.more}>
            Show older ones
          </Button>
        </div>
      )}
    </Section>
  );
}

function Item({
  notification: one,
  onRead,
}: {
  notification: NotificationView;
  onRead: () => void;
}) {
  const isNew = one.readAt === null;
  const Icon = ICONS[one.family] ?? Bell;
  return (
    <li className="flex items-center border-line not-first:border-t hover:bg-hover">
      <Link
        to={placeOf(one)}
        onClick={isNew ? onRead : undefined}
        className="flex min-h-13 min-w-0 flex-1 items-center gap-3 py-2 pl-4 -outline-offset-2"
      >
        <span className="grid w-2 shrink-0 place-items-center">
          {isNew && <Mark tone="busy" />}
          {isNew && <span className="sr-only">unread</span>}
        </span>
        <Icon
          aria-hidden
          className={classes("size-4 shrink-0", isNew ? "text-accent-ink" : "text-faint")}
        />
        <span className="min-w-0 flex-1">
          <span className={classes("block sm:truncate", isNew ? "font-medium" : "text-muted")}>
            {inert(one.title)}
          </span>
          <span className="block text-xs text-muted">
            {one.realm === null ? "the whole hub" : `realm ${inert(one.realm)}`} ·{" "}
            <Ago at={one.createdAt} />
          </span>
        </span>
      </Link>
      <span className="grid w-12 shrink-0 place-items-center">
        {isNew && <IconButton label="Mark read" icon={Check} onClick={onRead} />}
      </span>
    </li>
  );
}
