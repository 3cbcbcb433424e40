// A secret in the one moment it can be seen: to be copied, and gone when this is closed.
import type { ReactNode } from "react";
import { Button } from "../../ui/button.tsx";
import { CopyField } from "../../ui/copy.tsx";
import { Dialog } from "../../ui/dialog.tsx";
import { Note } from "../../ui/notes.tsx";

export function ShownOnce({
  title,
  label,
  secret,
  children,
  onClose,
}: {
  title: string;
  /** What it is, for the button that copies it. */
  label: string;
  secret: string;
  /** What to do with it, and how long it counts. */
  children: ReactNode;
  onClose: () => void;
}) {
  return (
    <Dialog
      open
      onOpenChange={onClose}
      title={title}
      dismissible={false}
      footer={
        <Button look="primary" onClick={onClose}>
          I have it
        </Button>
      }
    >
      <div className="flex flex-col gap-4 pb-3">
        <CopyField value={secret} label={label} block />
        <Note tone="wait">{children}</Note>
      </div>
    </Dialog>
  );
}
