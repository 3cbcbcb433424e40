// Where one is signed in: each can be ended from here, or all others at once.
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { api } from "../../api/client.ts";
import { usePages } from "../../api/pages.ts";
import { asProblem } from "../../api/problem.ts";
import type { SessionView } from "../../api/schema.gen.ts";
import { Section } from "../../app/page.tsx";
import { browserOf } from "../../people/browser.ts";
import { Badge } from "../../ui/badge.tsx";
import { Button } from "../../ui/button.tsx";
import { Confirm } from "../../ui/confirm.tsx";
import { inert } from "../../ui/inert.ts";
import { Failed, Waiting } from "../../ui/notes.tsx";
import { Ago } from "../../ui/time.tsx";
import { toast, toastProblem } from "../../ui/toasts.tsx";
import { Item, List } from "./list.tsx";

const isLive = (one: SessionView) =>
  one.revokedAt === null && Date.parse(one.expiresAt) > Date.now();

export function Sessions() {
  const client = useQueryClient();
  const { items, more, isPending, error, data, refetch } = usePages(
    ["me", "sessions"],
    (page, signal) => api.get("/api/v1/me/sessions", { query: page, signal }),
  );
  const [asked, setAsked] = useState(false);
  const refresh = () => client.invalidateQueries({ queryKey: ["me", "sessions"] });
  const end = useMutation({
    mutationFn: (id: string) => api.delete("/api/v1/me/sessions/{id}", { path: { id } }),
    onSuccess: () => {
      toast("The session has ended");
      return refresh();
    },
    onError: toastProblem,
  });
  const endOthers = useMutation({
    mutationFn: () => api.post("/api/v1/me/sessions/end-others"),
    onSuccess: ({ ended }) => {
      toast(ended === 1 ? "One session has ended" : `${ended} sessions have ended`);
      setAsked(false);
      return refresh();
    },
  });
  const live = items
    .filter(isLive)
    .sort((one, other) => Number(other.current) - Number(one.current));
  return (
    <Section
      title="Where you are signed in"
      actions={
        live.some((one) => !one.current) && (
          <Button size="sm" onClick={() => setAsked(true)}>
            End all others
          </Button>
        )
      }
    >
      {isPending && <Waiting lines={3} />}
      {error && !data && <Failed error={error} onRetry={() => void refetch()} />}
      {data && (
        <List label="Sessions">
          {live.map((one) => (
            <Item
              key={one.id}
              title={
                <>
                  <span title={inert(one.client)}>{inert(browserOf(one.client))}</span>{" "}
                  {one.current && <Badge tone="good">this one</Badge>}
                </>
              }
              about={
                <>
                  by {one.method} from <code className="text-xs">{inert(one.address)}</code>, last
                  seen <Ago at={one.lastSeenAt} />
                </>
              }
              action={
                !one.current && (
                  <Button
                    size="sm"
                    aria-label={`End the session of ${inert(browserOf(one.client))}`}
                    busy={end.isPending && end.variables === one.id}
                    onClick={() => end.mutate(one.id)}
                  >
                    End
                  </Button>
                )
              }
            />
          ))}
        </List>
      )}
      {more && (
        <div className="mt-6">
          <Button size="sm" onClick={more}>
            Look further back
          </Button>
        </div>
      )}
      <Confirm
        open={asked}
        onOpenChange={setAsked}
        title="End every other session?"
        verb="End them"
        danger
        busy={endOthers.isPending}
        problem={endOthers.error ? asProblem(endOthers.error) : null}
        onConfirm={() => endOthers.mutate()}
      >
        <p>
          Every other browser and terminal has to sign in again. API keys go on: end those under
          People, API keys.
        </p>
      </Confirm>
    </Section>
  );
}
