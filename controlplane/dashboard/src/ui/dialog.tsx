// Dialogs and drawers: focus goes in and comes back, Escape closes, the page behind is inert.
import * as Radix from "@radix-ui/react-dialog";
import { X } from "lucide-react";
import type { ReactNode } from "react";
import { IconButton } from "./button.tsx";
import { classes } from "./classes.ts";

const FIELD =
  "input:not([type=hidden], [type=checkbox], :disabled), textarea:not(:disabled), select:not(:disabled)";

interface Props {
  open: boolean;
  onOpenChange: (open: boolean) => void;
  title: string;
  /** One sentence on what happens; read with the title. */
  description?: ReactNode;
  children?: ReactNode;
  /** Buttons; the one that does it comes last. */
  footer?: ReactNode;
  wide?: boolean;
  /** Whether Escape and a click beside it close it: not while something typed would be lost. */
  dismissible?: boolean;
}

export function Dialog(props: Props) {
  return (
    <Frame
      {...props}
      className={classes(
        "fixed top-[max(4vh,1rem)] left-1/2 z-50 flex max-h-[92dvh] w-[calc(100vw-1.5rem)] -translate-x-1/2 animate-rise flex-col",
        "rounded-lg border border-line bg-raised shadow-raised sm:top-[10vh] sm:max-h-[80dvh]",
        props.wide ? "max-w-3xl" : "max-w-md",
      )}
    />
  );
}

/** The same at the side, for what is looked at beside a list. */
export function Drawer(props: Props) {
  return (
    <Frame
      {...props}
      className={classes(
        "fixed inset-y-0 right-0 z-50 flex w-full animate-slide flex-col border-l border-line bg-raised shadow-raised",
        props.wide ? "max-w-3xl" : "max-w-lg",
      )}
    />
  );
}

function Frame({
  open,
  onOpenChange,
  title,
  description,
  children,
  footer,
  className,
  dismissible = true,
}: Props & { className: string }) {
  const stay = (event: Event) => {
    if (!dismissible) event.preventDefault();
  };
  return (
    <Radix.Root open={open} onOpenChange={onOpenChange}>
      <Radix.Portal>
        <Radix.Overlay className="fixed inset-0 z-50 animate-fade bg-veil" />
        <Radix.Content
          className={classes(className, "outline-none")}
          tabIndex={-1}
          onOpenAutoFocus={(event) => {
            // The first field; without one the dialog itself, never a button that does something.
            const content = event.currentTarget as HTMLElement;
            event.preventDefault();
            (content.querySelector<HTMLElement>(FIELD) ?? content).focus();
          }}
          onEscapeKeyDown={stay}
          onInteractOutside={stay}
          {...(description ? {} : { "aria-describedby": undefined })}
        >
          <header className="flex items-start gap-3 px-4 pt-4 pb-2">
            <div className="min-w-0 flex-1">
              <Radix.Title className="text-lg font-semibold">{title}</Radix.Title>
              {description && (
                <Radix.Description className="mt-0.5 text-muted">{description}</Radix.Description>
              )}
            </div>
            <Radix.Close asChild>
              <IconButton label="Close" icon={X} className="-m-1" />
            </Radix.Close>
          </header>
          <div className="min-h-0 flex-1 overflow-y-auto px-4 py-2">{children}</div>
          {footer && (
            <footer className="flex flex-wrap justify-end gap-2 border-t border-line px-4 py-3">
              {footer}
            </footer>
          )}
        </Radix.Content>
      </Radix.Portal>
    </Radix.Root>
  );
}
