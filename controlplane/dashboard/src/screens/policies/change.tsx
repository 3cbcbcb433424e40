// A change of a policy: typed, compared with what is in force, and only then applied.
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { api } from "../../api/client.ts";
import { asProblem, type Problem } from "../../api/problem.ts";
import type { DiffView } from "../../api/schema.gen.ts";
import { Section } from "../../app/page.tsx";
import { Button } from "../../ui/button.tsx";
import { Dialog } from "../../ui/dialog.tsx";
import { Diff } from "../../ui/diff.tsx";
import { Note, ProblemNote } from "../../ui/notes.tsx";
import { toast } from "../../ui/toasts.tsx";
import { Editor } from "./editor.tsx";
import { type Content, type Fault, lineOfPointer, readText, textOf } from "./queries.ts";

/** Whose policy is changed, as the API names it. */
export type Target = { agent: string } | { realm: string } | { fleet: true };

export function Change({
  target,
  before,
  onTest,
}: {
  target: Target;
  before: Content | null;
  /** Told what is typed whenever it can be read, so that it can be tried beside. */
  onTest?: (content: Content) => void;
}) {
  const inForce = textOf(before);
  const [text, setText] = useState(inForce);
  const [faults, setFaults] = useState<readonly Fault[]>([]);
  const [seen, setSeen] = useState<Content | null>(null);
  const change = (next: string) => {
    setText(next);
    setFaults([]);
    const read = readText(next);
    if ("content" in read) onTest?.(read.content);
  };
  const review = () => {
    const read = readText(text);
    if ("fault" in read) setFaults([read.fault]);
    else setSeen(read.content);
  };
  return (
    <Section
      title="Change it"
      actions={
        <>
          <Button
            size="sm"
            look="quiet"
            disabled={text === inForce}
            onClick={() => change(inForce)}
          >
            Start over
          </Button>
          <Button size="sm" look="primary" disabled={text === inForce} onClick={review}>
            Review the change
          </Button>
        </>
      }
    >
      <Editor label="Policy as JSON" text={text} onChange={change} faults={faults} />
      {seen !== null && (
        <Review
          target={target}
          before={inForce}
          content={seen}
          onClose={() => setSeen(null)}
          onRefused={(problem) => {
            setSeen(null);
            setFaults(faultsOf(problem, text));
          }}
        />
      )}
    </Section>
  );
}

function faultsOf(problem: Problem, text: string): Fault[] {
  if (problem.fields.length === 0) return [{ line: null, says: problem.detail ?? problem.title }];
  return problem.fields.map(({ pointer, detail }) => {
    // What an agent would not read is named by its path in the text: `rules.0.effect: …`.
    const path = /^((?:rules|limits)(?:\.\w+)+):/.exec(detail)?.[1]?.replaceAll(".", "/");
    return { line: lineOfPointer(text, path ?? pointer), says: `${pointer} ${detail}` };
  });
}

function Review({
  target,
  before,
  content,
  onClose,
  onRefused,
}: {
  target: Target;
  before: string;
  content: Content;
  onClose: () => void;
  onRefused: (problem: Problem) => void;
}) {
  const client = useQueryClient();
  const body = { ...target, ...content } as never;
  const apply = useMutation({
    mutationFn: () => api.post("/api/v1/policies", { body }),
    onSuccess: async () => {
      toast("The policy is in force");
      await client.invalidateQueries({ queryKey: ["policies"] });
      onClose();
    },
    onError: (error) => {
      const problem = asProblem(error);
      if (problem.status === 422) onRefused(problem);
    },
  });
  return (
    <Dialog
      open
      onOpenChange={(open) => {
        if (!open) onClose();
      }}
      title="What changes"
      description="Lines taken out and put in, against the policy in force now."
      wide
      footer={
        <>
          <Button onClick={onClose}>Go on editing</Button>
          <Button look="primary" busy={apply.isPending} onClick={() => apply.mutate()}>
            Put it in force
          </Button>
        </>
      }
    >
      <div className="flex flex-col gap-3">
        <Diff before={before} after={textOf(content)} label="Change of the policy" />
        {"agent" in target && <Replayed agent={target.agent} content={content} />}
        {content.rules.length === 0 && (
          <Note tone="wait">Without a rule nothing is allowed: every order will be refused.</Note>
        )}
        {apply.isError && <ProblemNote problem={asProblem(apply.error)} />}
      </div>
    </Dialog>
  );
}

/** What the change would have meant for the orders of the last week. */
function Replayed({ agent, content }: { agent: string; content: Content }) {
  const [result, setResult] = useState<DiffView | Problem | null>(null);
  const run = useMutation({
    mutationFn: () => api.post("/api/v1/policies/diff", { body: { agent, ...content } as never }),
    onSuccess: setResult,
    onError: (error) => setResult(asProblem(error)),
  });
  if (result === null)
    return (
      <div>
        <Button size="sm" busy={run.isPending} onClick={() => run.mutate()}>
          Try it on the orders of the last 7 days
        </Button>
      </div>
    );
  if (result instanceof Error) return <ProblemNote problem={result} />;
  if (result.changed === 0)
    return <p role="status">{`None of ${result.orders} orders would have ended otherwise.`}</p>;
  return (
    <p role="status">
      {`Of ${result.orders} orders ${result.changed} would have ended otherwise: `}
      {`${result.nowRefused} refused, ${result.nowAllowed} allowed, ${result.nowAsked} asked first.`}
    </p>
  );
}
