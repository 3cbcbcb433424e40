// A question before what cannot be taken back: the person types the thing's name.
import { type ReactNode, useId, useState } from "react";
import type { Problem } from "../api/problem.ts";
import { Button } from "./button.tsx";
import { Dialog } from "./dialog.tsx";
import { Field, TextArea, TextInput } from "./field.tsx";
import { ProblemNote } from "./notes.tsx";

interface Props {
  open: boolean;
  onOpenChange: (open: boolean) => void;
  title: string;
  /** What happens then, and what can still be done about it. */
  children: ReactNode;
  /** What has to be typed; without it a click is enough. */
  typed?: string;
  verb: string;
  danger?: boolean;
  reason?: boolean;
  busy?: boolean;
  problem?: Problem | null;
  onConfirm: (reason: string) => void;
}

export function Confirm(props: Props) {
  // A dialog that opens again begins empty.
  return props.open ? <Asked {...props} /> : null;
}

function Asked({
  onOpenChange,
  title,
  children,
  typed,
  verb,
  danger = false,
  reason = false,
  busy = false,
  problem = null,
  onConfirm,
}: Props) {
  const [name, setName] = useState("");
  const [why, setWhy] = useState("");
  const form = useId();
  const ready = typed === undefined || name === typed;
  return (
    <Dialog
      open
      onOpenChange={onOpenChange}
      title={title}
      footer={
        <>
          <Button onClick={() => onOpenChange(false)}>Cancel</Button>
          <Button
            type="submit"
            form={form}
            look={danger ? "danger" : "primary"}
            busy={busy}
            disabled={!ready}
          >
            {verb}
          </Button>
        </>
      }
    >
      <form
        id={form}
        className="flex flex-col gap-3"
        onSubmit={(event) => {
          event.preventDefault();
          if (ready && !busy) onConfirm(why);
        }}
      >
        <div className="flex flex-col gap-2 text-muted">{children}</div>
        {reason && (
          <Field label="Reason" hint="Kept in the record.">
            {(props) => (
              <TextArea
                {...props}
                rows={2}
                maxLength={1000}
                value={why}
                onChange={(event) => setWhy(event.target.value)}
              />
            )}
          </Field>
        )}
        {typed !== undefined && (
          <Field
            label={
              <>
                Type <b className="font-semibold text-ink">{typed}</b> to confirm
              </>
            }
          >
            {(props) => (
              <TextInput
                {...props}
                autoComplete="off"
                spellCheck={false}
                value={name}
                onChange={(event) => setName(event.target.value)}
              />
            )}
          </Field>
        )}
        {problem && <ProblemNote problem={problem} />}
      </form>
    </Dialog>
  );
}
