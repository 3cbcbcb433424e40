// A secret while it is shown: once, and not closed by a stray click.
import type { ReactNode } from "react";
import { Button } from "../../ui/button.tsx";
import { CopyField } from "../../ui/copy.tsx";
import { Dialog } from "../../ui/dialog.tsx";
import { Note } from "../../ui/notes.tsx";

export function SecretDialog({
  secret,
  title,
  children,
  onClose,
}: {
  secret: string;
  title: string;
  children?: ReactNode;
  onClose: () => void;
}) {
  return (
    <Dialog
      open
      onOpenChange={onClose}
      title={title}
      description="The receiver checks signatures with it, as Standard Webhooks has it."
      dismissible={false}
      footer={
        <Button look="primary" onClick={onClose}>
          I have kept it
        </Button>
      }
    >
      <div className="flex flex-col gap-3 pb-2">
        <CopyField value={secret} label="secret" block />
        <Note tone="wait">
          The hub keeps it sealed and never shows it again. Whoever has it can make events that look
          like this hub's.
        </Note>
        {children}
      </div>
    </Dialog>
  );
}
