// A dialog that asks for something and sends it: Cancel, one button that does it, what went wrong.
import { type ReactNode, useId } from "react";
import { asProblem } from "../api/problem.ts";
import { Button } from "./button.tsx";
import { Dialog } from "./dialog.tsx";
import { ProblemNote } from "./notes.tsx";

/** A mutation, as far as its dialog is concerned. */
interface Sending {
  isPending: boolean;
  error: unknown;
  mutate: () => void;
}

interface Props {
  title: string;
  description?: ReactNode;
  wide?: boolean;
  dismissible?: boolean;
  /** What the button says that sends it. */
  verb: string;
  cancel?: string;
  sending: Sending;
  /** Whether what is filled in can be sent; else the button is off, and Enter does nothing. */
  ready?: boolean;
  /** Whether what went wrong is told beside the fields it is about. */
  toldInside?: boolean;
  children: ReactNode;
  onClose: () => void;
}

export function FormDialog({
  verb,
  cancel = "Cancel",
  sending,
  ready = true,
  toldInside = false,
  children,
  onClose,
  ...dialog
}: Props) {
  const form = useId();
  return (
    <Dialog
      open
      onOpenChange={onClose}
      {...dialog}
      footer={
        <>
          <Button onClick={onClose}>{cancel}</Button>
          <Button
            type="submit"
            form={form}
            look="primary"
            busy={sending.isPending}
            disabled={!ready}
          >
            {verb}
          </Button>
        </>
      }
    >
      <form
        id={form}
        className="flex flex-col gap-4 pb-3"
        onSubmit={(event) => {
          event.preventDefault();
          if (ready && !sending.isPending) sending.mutate();
        }}
      >
        {children}
        {sending.error && !toldInside ? <ProblemNote problem={asProblem(sending.error)} /> : null}
      </form>
    </Dialog>
  );
}
