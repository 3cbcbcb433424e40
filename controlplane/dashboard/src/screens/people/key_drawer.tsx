// One API key in full, and its end.
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { api } from "../../api/client.ts";
import { asProblem } from "../../api/problem.ts";
import type { ApiKeyView } from "../../api/schema.gen.ts";
import { Fact, Facts } from "../../app/page.tsx";
import { Who } from "../../people/who.tsx";
import { Badge } from "../../ui/badge.tsx";
import { Button } from "../../ui/button.tsx";
import { Confirm } from "../../ui/confirm.tsx";
import { Drawer } from "../../ui/dialog.tsx";
import { inert } from "../../ui/inert.ts";
import { Ago } from "../../ui/time.tsx";
import { toast } from "../../ui/toasts.tsx";
import { KeyStanding, ownerOf } from "./key_words.tsx";

export function KeyDrawer({ of: key, onClose }: { of: ApiKeyView; onClose: () => void }) {
  const client = useQueryClient();
  const [asked, setAsked] = useState(false);
  const revoke = useMutation({
    mutationFn: () => api.delete("/api/v1/api-keys/{id}", { path: { id: key.id } }),
    onSuccess: async () => {
      await client.invalidateQueries({ queryKey: ["people", "keys"] });
      toast(`${inert(key.name)} opens nothing any more`);
      onClose();
    },
  });
  return (
    <Drawer
      open
      onOpenChange={onClose}
      title={inert(key.name)}
      footer={
        key.revokedAt === null && (
          <Button look="danger" onClick={() => setAsked(true)}>
            Revoke
          </Button>
        )
      }
    >
      <div className="pb-4">
        <Facts>
          <Fact name="State">
            <KeyStanding of={key} />
          </Fact>
          <Fact name="Begins with">
            <code className="text-xs">{key.prefix}…</code>
          </Fact>
          <Fact name="Acts for">{ownerOf(key)}</Fact>
          {key.roles.length > 0 && <Fact name="Roles">{key.roles.join(", ")}</Fact>}
          <Fact name="May">
            {key.scopes.length === 0 ? (
              key.kind === "machine" ? (
                "all its roles permit"
              ) : (
                "all its owner may"
              )
            ) : (
              <span className="flex flex-wrap gap-1">
                {key.scopes.map((scope) => (
                  <Badge key={scope}>{inert(scope)}</Badge>
                ))}
              </span>
            )}
          </Fact>
          <Fact name="Realm">{key.realm === null ? "any" : inert(key.realm)}</Fact>
          <Fact name="Last used">
            <Ago at={key.lastUsedAt} />
          </Fact>
          <Fact name="Ends">
            <Ago at={key.expiresAt} empty="when it is revoked" />
          </Fact>
          <Fact name="Made">
            <Ago at={key.createdAt} />
          </Fact>
          <Fact name="By">
            <Who id={key.createdBy} />
          </Fact>
          {key.revokedAt !== null && (
            <Fact name="Revoked">
              <Ago at={key.revokedAt} />
            </Fact>
          )}
        </Facts>
      </div>
      <Confirm
        open={asked}
        onOpenChange={setAsked}
        title={`Revoke ${inert(key.name)}?`}
        verb="Revoke"
        danger
        busy={revoke.isPending}
        problem={revoke.error ? asProblem(revoke.error) : null}
        onConfirm={() => revoke.mutate()}
      >
        <p>Whatever uses it is refused within two seconds, at every hub. It never counts again.</p>
      </Confirm>
    </Drawer>
  );
}
