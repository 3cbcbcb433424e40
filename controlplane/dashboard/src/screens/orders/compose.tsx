// Giving an order: whom, what, with which parameters; signed by the hub, or by one's own key.

import { useMutation, useQueryClient } from "@tanstack/react-query";
import { KeyRound, Send } from "lucide-react";
import { useMemo, useRef, useState } from "react";
import { useLocation, useSearch } from "wouter";
import { api } from "../../api/client.ts";
import { asProblem } from "../../api/problem.ts";
import type { ActionView, AgentView, BatchView } from "../../api/schema.gen.ts";
import { Page, Section } from "../../app/page.tsx";
import { chainFor } from "../../people/lent.ts";
import { useOwnKey } from "../../people/own_keys.ts";
import { newId, sealDocument } from "../../proof/envelope.ts";
import { type JsonObject, parseStrictJson } from "../../proof/json.ts";
import { State } from "../../ui/badge.tsx";
import { Button } from "../../ui/button.tsx";
import { Checkbox, Field, Select, TextInput } from "../../ui/field.tsx";
import { inert } from "../../ui/inert.ts";
import { Failed, ProblemNote, Waiting } from "../../ui/notes.tsx";
import { faultsOf, readSchema } from "../../ui/schema.ts";
import { SchemaForm } from "../../ui/schema_form.tsx";
import { useAgents, useOrder } from "./queries.ts";
import { commonActions, reachedBy, type Target, type TargetKind } from "./targets.ts";

const KINDS: Record<TargetKind, { label: string; hint: string }> = {
  agent: { label: "One agent", hint: "Its name or DID." },
  capability: { label: "Everyone who can", hint: "A capability, such as files." },
  selector: { label: "By label", hint: "label=value, several with commas; realm=R narrows." },
};
const TIMEOUT_SECONDS = 300;
const LIFETIME_SECONDS = 86_400;

interface Draft {
  target: Target;
  action: string;
  params: Record<string, unknown>;
  realm: string;
  ownKey: boolean;
}

export function Compose() {
  const given = new URLSearchParams(useSearch());
  const from = given.get("from");
  const agents = useAgents();
  const repeated = useOrder(from);
  if (agents.isPending || (from !== null && repeated.isPending)) return <Waiting lines={8} />;
  if (agents.isError) return <Failed error={agents.error} onRetry={() => void agents.refetch()} />;
  const draft: Draft =
    from !== null && repeated.data
      ? {
          target: { kind: "agent", text: repeated.data.agentName },
          action: repeated.data.action,
          params: repeated.data.params as Record<string, unknown>,
          realm: repeated.data.realm,
          ownKey: false,
        }
      : {
          target: { kind: "agent", text: given.get("agent") ?? "" },
          action: given.get("action") ?? "",
          params: {},
          realm: "",
          ownKey: false,
        };
  return <Form agents={agents.data} first={draft} />;
}

function Form({ agents, first }: { agents: readonly AgentView[]; first: Draft }) {
  const [draft, setDraft] = useState(first);
  const [tried, setTried] = useState(false);
  const change = (part: Partial<Draft>) => setDraft((now) => ({ ...now, ...part }));
  const reached = useMemo(() => reachedBy(draft.target, agents), [draft.target, agents]);
  const actions = useMemo(() => commonActions(reached ?? []), [reached]);
  const action = actions.find((one) => one.name === draft.action);
  const schema = useMemo(() => readSchema(action?.paramsSchema ?? {}), [action]);
  const faults = faultsOf(schema, draft.params);
  const only = draft.target.kind === "agent" && reached?.length === 1 ? reached[0] : undefined;
  const realms = only?.realms ?? [];
  const realm = draft.realm || (realms.length === 1 ? (realms[0] ?? "") : "");
  const own = useOwnKey();
  const usable = own.data?.usable ?? null;
  const lent = usable && only && chainFor(usable.known, draft.action, [realm], only.did);
  const signs = draft.ownKey && lent != null;
  const wrong = wrongWith(draft, reached, action, realm, faults);
  const [, go] = useLocation();
  const client = useQueryClient();
  // One key for what is typed: pressed twice, or sent again after a lost connection, it is one order.
  const attempt = useRef({ of: "", key: "" });
  const submit = useMutation<BatchView>({
    mutationFn: async () => {
      if (signs && usable && only) {
        const payload = parseStrictJson(
          JSON.stringify({
            action: draft.action,
            params: draft.params,
            realm,
            timeoutSeconds: TIMEOUT_SECONDS,
            proof: lent.proof,
          }),
        ) as JsonObject;
        const now = new Date();
        const document = await sealDocument(usable.key, {
          type: "intent",
          id: newId(now),
          audience: only.did,
          timestamp: now,
          expires: new Date(now.getTime() + LIFETIME_SECONDS * 1000),
          payload,
        });
        return api.post("/api/v1/intents/signed", { body: { document } as never });
      }
      const body = {
        target: { [draft.target.kind]: draft.target.text.trim() },
        action: draft.action,
        params: draft.params,
        ...(realm === "" ? {} : { realm }),
      };
      const text = JSON.stringify(body);
      if (attempt.current.of !== text) attempt.current = { of: text, key: newId() };
      return api.post("/api/v1/intents", {
        body: body as never,
        idempotencyKey: attempt.current.key,
      });
    },
    onSuccess: (batch) => {
      void client.invalidateQueries({ queryKey: ["intents"] });
      const [one, ...more] = batch.intents;
      go(one && more.length === 0 ? `/orders/${one.id}` : `/orders?batchId=${batch.batchId}`);
    },
  });
  return (
    <Page title="New order" back={{ to: "/orders", label: "Orders" }}>
      <form
        className="grid items-start gap-4 lg:grid-cols-[minmax(0,3fr)_minmax(16rem,2fr)]"
        onSubmit={(event) => {
          event.preventDefault();
          setTried(true);
          if (wrong === null && !submit.isPending) submit.mutate();
        }}
      >
        <div className="flex min-w-0 flex-col gap-4">
          <Section title="Whom and what">
            <div className="flex flex-col gap-3">
              <TargetFields
                target={draft.target}
                agents={agents}
                onChange={(target) => change({ target })}
              />
              <Field label="Action" required hint={action ? inert(action.description) : undefined}>
                {(props) => (
                  <Select
                    {...props}
                    value={action ? draft.action : ""}
                    disabled={actions.length === 0}
                    onChange={(event) => change({ action: event.target.value, params: {} })}
                  >
                    <option value="">
                      {actions.length > 0 ? "choose" : "choose first whom it is for"}
                    </option>
                    {actions.map((one) => (
                      <option key={one.name} value={one.name}>
                        {inert(one.name)}
                      </option>
                    ))}
                  </Select>
                )}
              </Field>
              {realms.length > 1 && (
                <Field label="Realm" required>
                  {(props) => (
                    <Select
                      {...props}
                      value={realm}
                      onChange={(event) => change({ realm: event.target.value })}
                    >
                      <option value="">choose</option>
                      {realms.map((one) => (
                        <option key={one} value={one}>
                          {inert(one)}
                        </option>
                      ))}
                    </Select>
                  )}
                </Field>
              )}
            </div>
          </Section>
          {action && (
            <Section title="Parameters">
              <SchemaForm
                key={`${draft.target.kind} ${action.name}`}
                schema={schema}
                value={draft.params}
                faults={tried ? faults : {}}
                onChange={(params) => change({ params: (params ?? {}) as Record<string, unknown> })}
              />
            </Section>
          )}
        </div>
        <div className="flex min-w-0 flex-col gap-4 lg:sticky lg:top-4">
          <Section title="It reaches">
            <Reached reached={reached} />
          </Section>
          {usable && lent && (
            <Checkbox
              label="Sign it with my key in this browser"
              hint={
                lent.throughHub
                  ? "The order is yours, not the hub's. Lent to by the hub: an agent that demands an operator's signature does not take it."
                  : "The order is yours, not the hub's."
              }
              checked={draft.ownKey}
              onChange={(event) => change({ ownKey: event.target.checked })}
            />
          )}
          {submit.isError && <ProblemNote problem={asProblem(submit.error)} />}
          {tried && wrong && (
            <p role="alert" className="text-bad">
              {wrong}
            </p>
          )}
          <Button
            type="submit"
            look="primary"
            icon={signs ? KeyRound : Send}
            busy={submit.isPending}
            className="self-start max-sm:w-full"
          >
            {signs
              ? "Sign and send"
              : (reached?.length ?? 0) > 1
                ? `Send to ${reached?.length} agents`
                : "Send"}
          </Button>
        </div>
      </form>
    </Page>
  );
}

function wrongWith(
  draft: Draft,
  reached: readonly AgentView[] | null,
  action: ActionView | undefined,
  realm: string,
  faults: Record<string, string>,
): string | null {
  if (reached === null) return "Say whom it is for.";
  if (reached.length === 0) return "Nobody is like that.";
  if (!action) return "Choose an action.";
  if (draft.target.kind === "agent" && realm === "") return "Choose a realm.";
  const [fault] = Object.entries(faults);
  return fault ? `${fault[0].slice(1)}: ${fault[1]}` : null;
}

function TargetFields({
  target,
  agents,
  onChange,
}: {
  target: Target;
  agents: readonly AgentView[];
  onChange: (target: Target) => void;
}) {
  const offered =
    target.kind === "agent"
      ? agents.filter((one) => one.state !== "revoked").map((one) => one.name)
      : target.kind === "capability"
        ? [...new Set(agents.flatMap((one) => one.capabilities))]
        : [
            ...new Set(
              agents.flatMap((one) =>
                Object.entries(one.labels).map(([name, value]) => `${name}=${value}`),
              ),
            ),
          ];
  return (
    <div className="grid gap-3 sm:grid-cols-[12rem_minmax(0,1fr)]">
      <Field label="For">
        {(props) => (
          <Select
            {...props}
            value={target.kind}
            onChange={(event) => onChange({ kind: event.target.value as TargetKind, text: "" })}
          >
            {Object.entries(KINDS).map(([kind, { label }]) => (
              <option key={kind} value={kind}>
                {label}
              </option>
            ))}
          </Select>
        )}
      </Field>
      <Field
        label={
          target.kind === "agent" ? "Agent" : target.kind === "capability" ? "Capability" : "Labels"
        }
        required
        hint={KINDS[target.kind].hint}
      >
        {(props) => (
          <>
            <TextInput
              {...props}
              list={`${props.id}-offered`}
              autoComplete="off"
              spellCheck={false}
              value={target.text}
              onChange={(event) => onChange({ ...target, text: event.target.value })}
            />
            <datalist id={`${props.id}-offered`}>
              {offered.slice(0, 200).map((one) => (
                <option key={one} value={inert(one)} />
              ))}
            </datalist>
          </>
        )}
      </Field>
    </div>
  );
}

const SHOWN_AGENTS = 12;

function Reached({ reached }: { reached: readonly AgentView[] | null }) {
  if (reached === null) return <p className="text-muted">Say whom it is for.</p>;
  if (reached.length === 0) return <p className="text-muted">Nobody is like that.</p>;
  const rest = reached.length - SHOWN_AGENTS;
  return (
    <ul className="flex flex-col gap-1">
      {reached.slice(0, SHOWN_AGENTS).map((one) => (
        <li key={one.did} className="flex items-center justify-between gap-3">
          <span className="truncate">{inert(one.name)}</span>
          <State tone={one.online ? "good" : "idle"}>
            {one.online ? "online" : "waits until it is back"}
          </State>
        </li>
      ))}
      {rest > 0 && <li className="text-muted">{`and ${rest} more`}</li>}
    </ul>
  );
}
