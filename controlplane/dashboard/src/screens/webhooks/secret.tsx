// A webhook's secret while it is shown: once.
import type { ReactNode } from "react";
import { ShownOnce } from "../../ui/shown_once.tsx";

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
    <ShownOnce
      title={title}
      description="The receiver checks signatures with it, as Standard Webhooks has it."
      label="secret"
      secret={secret}
      done="I have kept it"
      below={children}
      onClose={onClose}
    >
      The hub keeps it sealed and never shows it again. Whoever has it can make events that look
      like this hub's.
    </ShownOnce>
  );
}
