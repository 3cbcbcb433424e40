// One path in full: every link from the root with what it allows, until when, and whether it counts.
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { ChevronDown, CircleCheck, Undo2 } from "lucide-react";
import { useState } from "react";
import { api } from "../../api/client.ts";
import { useCan } from "../../api/me.ts";
import { asProblem } from "../../api/problem.ts";
import type { DelegationView } from "../../api/schema.gen.ts";
import { Badge, type Tone } from "../../ui/badge.tsx";
import { Button } from "../../ui/button.tsx";
import { Confirm } from "../../ui/confirm.tsx";
import { CopyField } from "../../ui/copy.tsx";
import { inert } from "../../ui/inert.ts";
import { NotVerified } from "../../ui/not_verified.tsx";
import { Note } from "../../ui/notes.tsx";
import { wordsOf } from "../../ui/schema.ts";
import { Ago } from "../../ui/time.tsx";
import { toast } from "../../ui/toasts.tsx";
import {
  byDigest,
  type Chain,
  chainOf,
  conditionsOf,
  type Facts,
  nameOf,
  ownStanding,
  placeWords,
  type Standing,
  sourceWords,
  standingOf,
} from "./authority.ts";
import { useVerified } from "./queries.ts";

const TONES: Record<Standing, Tone> = {
  "in force": "good",
  "not yet": "wait",
  expired: "idle",
  revoked: "bad",
  "cut off": "bad",
};

export function StandingBadge({ standing }: { standing: Standing }) {
  return <Badge tone={TONES[standing]}>{standing}</Badge>;
}

export function ChainView({ last, facts }: { last: DelegationView; facts: Facts }) {
  const now = Date.now();
  const chain = chainOf(last, byDigest(facts), facts.root);
  const standing = standingOf(chain, facts, now);
  const conditions = conditionsOf(chain);
  return (
    <div className="flex flex-col gap-4">
      <div className="flex flex-col gap-2">
        <p className="flex flex-wrap items-center gap-2">
          <StandingBadge standing={standing} />
          <span>
            <b className="font-medium">{nameOf(last.subject, facts)}</b>
            {standing === "in force" ? " may do" : " can no longer do"} what the last link says
            {conditions.length > 0 &&
              `, where ${conditions.length === 1 ? "its condition is" : "its conditions are"} true`}
            .
          </span>
        </p>
        <Signatures chain={chain} />
        {standing === "cut off" && (
          <Note tone="bad">
            {chain.whole
              ? "A link above has ended, and what hangs under it counts for nothing."
              : "A link above is not held here, or lies in a realm you do not see."}
          </Note>
        )}
      </div>
      <ol aria-label="Links from the root" className="flex flex-col gap-1">
        {chain.links.map((link, at) => (
          <li key={link.id}>
            {at > 0 && <ChevronDown aria-hidden className="mx-auto mb-1 size-4 text-faint" />}
            <LinkCard link={link} facts={facts} now={now} />
          </li>
        ))}
      </ol>
      <Revoke link={last} facts={facts} standing={standing} />
    </div>
  );
}

function Signatures({ chain }: { chain: Chain }) {
  const verified = useVerified(chain);
  if (!chain.whole) return null;
  if (verified.isError) return <NotVerified error={verified.error} />;
  if (verified.data === "not checked")
    return <p className="text-muted">This browser cannot check signatures.</p>;
  return (
    <p role="status" className="flex gap-2 text-good">
      <CircleCheck aria-hidden className="mt-0.5 size-4 shrink-0" />
      <span className="min-h-5">
        {verified.isPending
          ? ""
          : "Verified by this browser: signed link by link from the root it trusts, none wider than the one above."}
      </span>
    </p>
  );
}

function LinkCard({ link, facts, now }: { link: DelegationView; facts: Facts; now: number }) {
  const budget = Object.entries(link.budget ?? {}).filter(([, most]) => most != null);
  const conditions = link.conditions.filter((one) => one !== "true");
  const places = new Map<string, string[]>();
  for (const one of link.capabilities) {
    const place = placeWords(one, facts);
    places.set(place, [...(places.get(place) ?? []), one.action]);
  }
  return (
    <div className="flex flex-col gap-2 rounded-md border border-line p-3">
      <p className="flex flex-wrap items-center gap-x-2 gap-y-1">
        <b className="font-medium">{nameOf(link.issuer, facts)}</b>{" "}
        <span className="text-muted">lends</span>{" "}
        <b className="font-medium">{nameOf(link.subject, facts)}</b>
        <span className="ml-auto">
          <StandingBadge standing={ownStanding(link, facts, now)} />
        </span>
      </p>
      <ul className="flex flex-col gap-0.5">
        {[...places].map(([place, actions]) => (
          <li key={place}>
            {actions.map((action) => (
              <code key={action} className="mr-2 inline-block max-w-full text-xs font-medium">
                {inert(action)}
              </code>
            ))}
            <span className="text-muted">{place}</span>
          </li>
        ))}
      </ul>
      {conditions.map((one) => (
        <p key={one}>
          <span className="text-muted">only while </span>
          <code className="text-xs">{inert(one)}</code>
        </p>
      ))}
      {budget.length > 0 && (
        <p className="text-muted">
          {budget.map(([name, most]) => `${wordsOf(name)}: ${most}`).join(", ")}
        </p>
      )}
      <p className="flex flex-wrap items-center gap-x-3 gap-y-1 text-xs text-muted">
        <span>
          {link.revokedAt ? "revoked " : "until "}
          <Ago at={link.revokedAt ?? link.expiresAt} />
        </span>
        <span>
          {link.maxDepth === 0
            ? "may not be lent on"
            : `may be lent on, ${link.maxDepth} ${link.maxDepth === 1 ? "link" : "links"} deep`}
        </span>
        <span>{sourceWords(link)}</span>
        <CopyField value={link.id} label="id of the delegation" short />
      </p>
    </div>
  );
}

function Revoke({
  link,
  facts,
  standing,
}: {
  link: DelegationView;
  facts: Facts;
  standing: Standing;
}) {
  const client = useQueryClient();
  const may = useCan("delegations.write");
  const [asked, setAsked] = useState(false);
  const revoke = useMutation({
    mutationFn: (reason: string) =>
      api.post("/api/v1/delegations/{id}/revoke", { path: { id: link.id }, body: { reason } }),
    onSuccess: async () => {
      toast("Taken back: agents are told");
      setAsked(false);
      await client.invalidateQueries({ queryKey: ["delegations"] });
    },
  });
  if (!may || link.revoked || standing === "expired") return null;
  if (link.subject === facts.hub || link.subject === facts.log)
    return <p className="text-muted">Only the root can take this back, from the command line.</p>;
  if (link.source === "role" || link.source === "role.key")
    return <p className="text-muted">It ends with the role it stands for.</p>;
  return (
    <div>
      <Button icon={Undo2} onClick={() => setAsked(true)}>
        Take it back
      </Button>
      <Confirm
        open={asked}
        onOpenChange={setAsked}
        title={`Take this back from ${nameOf(link.subject, facts)}?`}
        verb="Take it back"
        danger
        reason
        busy={revoke.isPending}
        problem={revoke.error ? asProblem(revoke.error) : null}
        onConfirm={(reason) => revoke.mutate(reason)}
      >
        <p>
          It goes on the list of revocations that every agent gets before its next order. What hangs
          under it counts for nothing any more either. Work that was accepted goes on.
        </p>
      </Confirm>
    </div>
  );
}
