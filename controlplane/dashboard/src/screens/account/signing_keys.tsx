// The keys that one signs decisions and orders with oneself: what each is lent, and its end.
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Plus } from "lucide-react";
import { useState } from "react";
import { api } from "../../api/client.ts";
import { asProblem } from "../../api/problem.ts";
import type { OwnKeyView } from "../../api/schema.gen.ts";
import { Section } from "../../app/page.tsx";
import { useEnrolKey, useForgetKey, useOwnKey } from "../../people/own_keys.ts";
import { Badge } from "../../ui/badge.tsx";
import { Button } from "../../ui/button.tsx";
import { Confirm } from "../../ui/confirm.tsx";
import { inert } from "../../ui/inert.ts";
import { Failed, Note, ProblemNote, Waiting } from "../../ui/notes.tsx";
import { shorten } from "../../ui/shorten.ts";
import { Ago } from "../../ui/time.tsx";
import { toast } from "../../ui/toasts.tsx";
import { Item, List } from "./list.tsx";

export function SigningKeys() {
  const client = useQueryClient();
  const { data, error, isPending, refetch } = useQuery({
    queryKey: ["me", "keys", "all"],
    queryFn: ({ signal }) => api.get("/api/v1/me/keys", { signal }),
  });
  const own = useOwnKey().data;
  const enrol = useEnrolKey();
  const forget = useForgetKey();
  const [asked, setAsked] = useState<OwnKeyView | null>(null);
  const here = own?.usable?.key.did ?? null;
  const end = useMutation({
    mutationFn: async (key: OwnKeyView) => {
      await api.delete("/api/v1/me/keys/{id}", { path: { id: key.id } });
      if (key.did === here) await forget();
    },
    onSuccess: () => {
      toast("The key counts nowhere any more");
      setAsked(null);
      return client.invalidateQueries({ queryKey: ["me", "keys"] });
    },
  });
  const keys = data?.items.filter((one) => one.revokedAt === null) ?? [];
  return (
    <Section
      title="Keys you sign with"
      actions={
        own?.able &&
        here === null && (
          <Button size="sm" icon={Plus} busy={enrol.isPending} onClick={() => enrol.mutate()}>
            Make one in this browser
          </Button>
        )
      }
    >
      {isPending && <Waiting lines={2} />}
      {error && !data && <Failed error={error} onRetry={() => void refetch()} />}
      {enrol.error && (
        <div className="mb-3">
          <ProblemNote problem={asProblem(enrol.error)} />
        </div>
      )}
      {own?.able === false && (
        <div className="mb-3">
          <Note>This browser cannot sign: it needs https and Ed25519.</Note>
        </div>
      )}
      {data && keys.length === 0 && (
        <p className="text-muted">
          None yet. With one, agents check by themselves that a decision is yours, whatever the hub
          says.
        </p>
      )}
      {keys.length > 0 && (
        <List label="Signing keys">
          {keys.map((one) => (
            <Item
              key={one.id}
              title={
                <>
                  {inert(one.name)} {one.did === here && <Badge tone="good">this browser</Badge>}
                </>
              }
              about={
                <>
                  <code className="text-xs" title={one.did}>
                    {shorten(one.did, 12)}
                  </code>{" "}
                  {lentOf(one)}, made <Ago at={one.createdAt} />
                </>
              }
              action={
                <Button
                  size="sm"
                  aria-label={`End ${inert(one.name)}`}
                  onClick={() => setAsked(one)}
                >
                  End
                </Button>
              }
            />
          ))}
        </List>
      )}
      <Confirm
        open={asked !== null}
        onOpenChange={() => setAsked(null)}
        title={`End ${inert(asked?.name ?? "")}?`}
        verb="End it"
        danger
        busy={end.isPending}
        problem={end.error ? asProblem(end.error) : null}
        onConfirm={() => asked && end.mutate(asked)}
      >
        <p>
          What it was lent is revoked at every agent. Decisions it has signed stay what they were.
        </p>
      </Confirm>
    </Section>
  );
}

function lentOf(key: OwnKeyView): string {
  const actions = new Set(
    key.lent.flatMap((one) => one.capabilities.map((capability) => capability.action)),
  );
  if (actions.size === 0) return "is lent nothing";
  const some = [...actions].slice(0, 3).map(inert).join(", ");
  return `may sign ${some}${actions.size > 3 ? " and more" : ""}`;
}
