// Passkeys: made in this browser or on a key one carries, and forgotten here.
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Plus } from "lucide-react";
import { useState } from "react";
import { api, plain } from "../../api/client.ts";
import { asProblem } from "../../api/problem.ts";
import type { PasskeyView } from "../../api/schema.gen.ts";
import { Section } from "../../app/page.tsx";
import { thisBrowser } from "../../people/browser.ts";
import { addPasskey, isCancelled, passkeyPlace } from "../../sign-in/passkey.ts";
import { Button } from "../../ui/button.tsx";
import { Confirm } from "../../ui/confirm.tsx";
import { inert } from "../../ui/inert.ts";
import { Failed, Note, ProblemNote, Waiting } from "../../ui/notes.tsx";
import { Ago } from "../../ui/time.tsx";
import { toast } from "../../ui/toasts.tsx";
import { Item, List } from "./list.tsx";

export function Passkeys() {
  const client = useQueryClient();
  const { data, error, isPending, refetch } = useQuery({
    queryKey: ["me", "passkeys"],
    queryFn: ({ signal }) => api.get("/api/v1/me/passkeys", { signal }),
  });
  const { data: methods } = useQuery({
    queryKey: ["sign-in", "methods"],
    queryFn: () => plain.get("/api/v1/login/methods"),
  });
  const place = passkeyPlace(methods?.passkeyDomain ?? window.location.hostname);
  const [asked, setAsked] = useState<PasskeyView | null>(null);
  const refresh = () => client.invalidateQueries({ queryKey: ["me", "passkeys"] });
  const add = useMutation({
    mutationFn: () => addPasskey(thisBrowser()),
    onSuccess: () => {
      toast("The passkey is yours");
      return refresh();
    },
  });
  const remove = useMutation({
    mutationFn: (id: string) => api.delete("/api/v1/me/passkeys/{id}", { path: { id } }),
    onSuccess: () => {
      toast("The passkey opens nothing any more");
      setAsked(null);
      return refresh();
    },
  });
  return (
    <Section
      title="Passkeys"
      actions={
        place.usable && (
          <Button size="sm" icon={Plus} busy={add.isPending} onClick={() => add.mutate()}>
            Add a passkey
          </Button>
        )
      }
    >
      {isPending && <Waiting lines={2} />}
      {error && !data && <Failed error={error} onRetry={() => void refetch()} />}
      {add.error && !isCancelled(add.error) && (
        <div className="mb-3">
          <ProblemNote problem={asProblem(add.error)} />
        </div>
      )}
      {place.instead && (
        <div className="mb-3">
          <Note>
            Passkeys are made at{" "}
            <a className="underline" href={place.instead}>
              {new URL(place.instead).host}
            </a>
            , not at an address of numbers.
          </Note>
        </div>
      )}
      {data?.items.length === 0 && (
        <p className="text-muted">
          None yet. A passkey signs you in without a password, and no false page can get it out of
          you.
        </p>
      )}
      {data && data.items.length > 0 && (
        <List label="Passkeys">
          {data.items.map((one) => (
            <Item
              key={one.id}
              title={inert(one.name)}
              about={
                <>
                  {one.backedUp ? "kept elsewhere too" : "on one device"}, last used{" "}
                  <Ago at={one.lastUsedAt} />
                </>
              }
              action={
                <Button
                  size="sm"
                  aria-label={`Remove ${inert(one.name)}`}
                  onClick={() => setAsked(one)}
                >
                  Remove
                </Button>
              }
            />
          ))}
        </List>
      )}
      <Confirm
        open={asked !== null}
        onOpenChange={() => setAsked(null)}
        title={`Remove ${inert(asked?.name ?? "")}?`}
        verb="Remove"
        danger
        busy={remove.isPending}
        problem={remove.error ? asProblem(remove.error) : null}
        onConfirm={() => asked && remove.mutate(asked.id)}
      >
        <p>
          It signs nobody in from now on. If it is your only way in, set a password or add another
          passkey first: otherwise only a link made on the hub's machine lets you in again.
        </p>
      </Confirm>
    </Section>
  );
}
