// What a policy would say to one order; nothing is done and nobody is asked.
import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import { api } from "../../api/client.ts";
import { asProblem } from "../../api/problem.ts";
import type { DecisionView } from "../../api/schema.gen.ts";
import { Section } from "../../app/page.tsx";
import { Badge, type Tone } from "../../ui/badge.tsx";
import { Button } from "../../ui/button.tsx";
import { CodeField, Field, TextInput } from "../../ui/field.tsx";
import { inert } from "../../ui/inert.ts";
import { ProblemNote } from "../../ui/notes.tsx";
import type { Content } from "./queries.ts";

export function Trial({
  agent,
  realms,
  content,
}: {
  agent: string;
  realms: readonly string[];
  /** What is being typed; null tries what is in force. */
  content: Content | null;
}) {
  const [action, setAction] = useState("");
  const [params, setParams] = useState("{}");
  const [fault, setFault] = useState<string | null>(null);
  const realm = realms[0] ?? "default";
  const run = useMutation({
    mutationFn: (given: Record<string, unknown>): Promise<DecisionView> =>
      content === null
        ? api.post("/api/v1/policies/explain", {
            body: { agent, action, params: given, realm } as never,
          })
        : api.post("/api/v1/policies/test", {
            body: { agent, action, params: given, realm, realms: [...realms], ...content } as never,
          }),
  });
  const submit = () => {
    try {
      const given = JSON.parse(params) as Record<string, unknown>;
      setFault(null);
      run.mutate(given);
    } catch {
      setFault("This is not a JSON object");
    }
  };
  return (
    <Section title={content === null ? "Try an order" : "Try an order on what is typed"}>
      <form
        className="flex flex-col gap-3"
        onSubmit={(event) => {
          event.preventDefault();
          submit();
        }}
      >
        <Field label="Action" required>
          {(props) => (
            <TextInput
              {...props}
              required
              spellCheck={false}
              placeholder="files.read"
              value={action}
              onChange={(event) => setAction(event.target.value)}
            />
          )}
        </Field>
        <CodeField label="Parameters" error={fault} rows={3} value={params} onChange={setParams} />
        <div>
          <Button type="submit" busy={run.isPending}>
            What would it say?
          </Button>
        </div>
      </form>
      <div className="mt-3" aria-live="polite">
        {run.isError && <ProblemNote problem={asProblem(run.error)} />}
        {run.data && <Decision decision={run.data} />}
      </div>
    </Section>
  );
}

function Decision({ decision }: { decision: DecisionView }) {
  const [tone, word]: [Tone, string] =
    decision.effect !== "allow"
      ? ["bad", "refused"]
      : decision.approval
        ? ["wait", "asks first"]
        : ["good", "allowed"];
  return (
    <div className="flex flex-col gap-2">
      <p>
        <Badge tone={tone}>{word}</Badge> {inert(decision.summary)}
      </p>
      <ul className="flex flex-col gap-1 text-xs text-muted">
        {decision.rules.map((rule) => (
          <li key={rule.id}>
            <code className={rule.id === decision.rule ? "font-bold text-ink" : ""}>
              {inert(rule.id)}
            </code>
            {` ${rule.effect}: ${inert(rule.detail || rule.outcome)}`}
          </li>
        ))}
      </ul>
    </div>
  );
}
