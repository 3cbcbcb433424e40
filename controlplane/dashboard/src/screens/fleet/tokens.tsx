// Join tokens: which are open, which were used and by whom, and making one worthless.
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { Ban, Plus, Ticket } from "lucide-react";
import { useState } from "react";
import { Link } from "wouter";
import { api } from "../../api/client.ts";
import { usePages } from "../../api/pages.ts";
import { asProblem } from "../../api/problem.ts";
import type { JoinTokenView } from "../../api/schema.gen.ts";
import { Page, Section } from "../../app/page.tsx";
import { Who } from "../../people/who.tsx";
import { State, type Tone } from "../../ui/badge.tsx";
import { Button } from "../../ui/button.tsx";
import { Confirm } from "../../ui/confirm.tsx";
import { inert } from "../../ui/inert.ts";
import { Empty, Failed, Waiting } from "../../ui/notes.tsx";
import { Ago } from "../../ui/time.tsx";
import { toast } from "../../ui/toasts.tsx";
import { EnrolDialog } from "./enrol.tsx";

function standingOf(token: JoinTokenView): { tone: Tone; word: string } {
  if (token.revokedAt) return { tone: "bad", word: "revoked" };
  if (token.usedAt) return { tone: "idle", word: "used" };
  if (Date.parse(token.expiresAt) <= Date.now()) return { tone: "idle", word: "expired" };
  return { tone: "good", word: "open" };
}

export function TokensPage() {
  const [enrolling, setEnrolling] = useState(false);
  const [doomed, setDoomed] = useState<JoinTokenView | null>(null);
  const tokens = usePages<JoinTokenView>(["join-tokens", "list"], ({ limit, cursor }, signal) =>
    api.get("/api/v1/join-tokens", { query: { limit, cursor }, signal }),
  );
  const add = (
    <Button look="primary" icon={Plus} onClick={() => setEnrolling(true)}>
      New token
    </Button>
  );
  return (
    <Page
      title="Join tokens"
      back={{ to: "/fleet", label: "Fleet" }}
      about="Each lets one agent ask to join, or join at once. Shown when it is made, and never again."
      actions={tokens.items.length > 0 && add}
    >
      {tokens.isPending ? (
        <Waiting lines={5} />
      ) : tokens.isError && !tokens.data ? (
        <Failed error={tokens.error} onRetry={() => void tokens.refetch()} />
      ) : tokens.items.length === 0 ? (
        <Empty icon={Ticket} title="No token was made yet" action={add}>
          A token names this hub and its root to one new agent, so that it knows whom to believe.
        </Empty>
      ) : (
        <Section title="Tokens" flush>
          <ul aria-label="Join tokens">
            {tokens.items.map((one) => (
              <Token key={one.id} token={one} onRevoke={() => setDoomed(one)} />
            ))}
          </ul>
          {tokens.more && (
            <div className="border-t border-line p-2 text-center">
              <Button size="sm" look="quiet" onClick={tokens.more}>
                Show older ones
              </Button>
            </div>
          )}
        </Section>
      )}
      <EnrolDialog open={enrolling} onOpenChange={setEnrolling} />
      {doomed && <Revoke token={doomed} onClose={() => setDoomed(null)} />}
    </Page>
  );
}

function Token({ token, onRevoke }: { token: JoinTokenView; onRevoke: () => void }) {
  const { tone, word } = standingOf(token);
  return (
    <li className="flex flex-wrap items-center gap-x-4 gap-y-1 border-line px-4 py-2.5 not-first:border-t">
      <span className="w-20 shrink-0">
        <State tone={tone}>{word}</State>
      </span>
      <span className="min-w-0 flex-1 basis-56">
        <span className="block truncate">
          for <code className="text-xs font-medium">{inert(token.name)}</code>
          {token.realm !== null && <> in realm {inert(token.realm)}</>}
          {token.autoApprove && <>, joins at once</>}
        </span>
        <span className="block text-xs text-muted">
          made <Ago at={token.createdAt} /> by <Who id={token.createdBy} />
          {word === "open" && (
            <>
              , ends <Ago at={token.expiresAt} />
            </>
          )}
          {token.autoApprove && token.capabilities !== null && (
            <>
              {" · may do "}
              <code>{inert(token.capabilities.join(" ")) || "nothing yet"}</code>
            </>
          )}
        </span>
      </span>
      {token.usedBy !== null && (
        <Link to={`/fleet/${token.usedBy}`} className="text-xs text-accent-ink underline">
          who came with it
        </Link>
      )}
      {word === "open" && (
        <Button size="sm" icon={Ban} onClick={onRevoke}>
          Revoke
        </Button>
      )}
    </li>
  );
}

function Revoke({ token, onClose }: { token: JoinTokenView; onClose: () => void }) {
  const client = useQueryClient();
  const revoke = useMutation({
    mutationFn: () => api.delete("/api/v1/join-tokens/{id}", { path: { id: token.id } }),
    onSuccess: () => {
      void client.invalidateQueries({ queryKey: ["join-tokens"] });
      toast("The token counts for nothing now");
      onClose();
    },
  });
  return (
    <Confirm
      open
      onOpenChange={onClose}
      title="Make this token worthless?"
      verb="Revoke"
      danger
      busy={revoke.isPending}
      problem={revoke.error ? asProblem(revoke.error) : null}
      onConfirm={() => revoke.mutate()}
    >
      <p>Nobody can join with it any more. Agents that are here already stay.</p>
    </Confirm>
  );
}
