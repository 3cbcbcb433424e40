// A secret in the one moment it can be seen: to be copied, and gone when this is closed.
import type { ReactNode } from "react";
import { Button } from "./button.tsx";
import { CopyField } from "./copy.tsx";
import { Dialog } from "./dialog.tsx";
import { Note } from "./notes.tsx";

export function ShownOnce({
  title,
  description,
  label,
  secret,
  done = "I have it",
  children,
  below,
  onClose,
}: {
  title: string;
  description?: ReactNode;
  /** What it is, for the button that copies it. */
  label: string;
  secret: string;
  /** What the button says that closes it: a stray click does not. */
  done?: string;
  /** What to do with it, and how long it counts. */
  children: ReactNode;
  below?: ReactNode;
  onClose: () => void;
}) {
  return (
    <Dialog
      open
      onOpenChange={onClose}
      title={title}
      description={description}
      dismissible={false}
      footer={
        <Button look="primary" onClick={onClose}>
          {done}
        </Button>
      }
    >
      <div className="flex flex-col gap-4 pb-3">
        <CopyField value={secret} label={label} block />
        <Note tone="wait">{children}</Note>
        {below}
      </div>
    </Dialog>
  );
}
