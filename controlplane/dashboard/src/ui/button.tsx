// Buttons and links that look like them: primary once a view at most, danger only in dialogs that
// name what is lost.
import { LoaderCircle, type LucideIcon } from "lucide-react";
import type { ButtonHTMLAttributes, Ref } from "react";
import { Link } from "wouter";
import { classes } from "./classes.ts";

export type Look = "plain" | "primary" | "danger" | "quiet";
type Size = "sm" | "md";

const LOOKS: Record<Look, string> = {
  plain: "border-line-strong bg-surface text-ink hover:bg-hover",
  primary: "border-transparent bg-accent text-on-accent hover:bg-accent-hover",
  danger: "border-transparent bg-bad-solid text-on-accent hover:brightness-110",
  quiet: "border-transparent text-muted hover:bg-hover hover:text-ink",
};
const SIZES: Record<Size, string> = {
  sm: "h-7 px-2 text-xs pointer-coarse:h-9 pointer-coarse:px-3",
  md: "h-8 px-3 text-sm pointer-coarse:h-10",
};

export function buttonClasses(look: Look = "plain", size: Size = "md"): string {
  return classes(
    "inline-flex shrink-0 items-center justify-center gap-1.5 rounded-md border font-medium",
    "whitespace-nowrap select-none transition-colors",
    "disabled:pointer-events-none disabled:opacity-50 aria-disabled:opacity-50",
    SIZES[size],
    LOOKS[look],
  );
}

interface Common {
  look?: Look;
  size?: Size;
  icon?: LucideIcon;
}

export interface ButtonProps extends ButtonHTMLAttributes<HTMLButtonElement>, Common {
  /** Shows that what was asked is under way; the button keeps its width and its focus. */
  busy?: boolean;
  ref?: Ref<HTMLButtonElement>;
}

export function Button({
  look = "plain",
  size = "md",
  icon: Icon,
  busy = false,
  className,
  children,
  onClick,
  ...rest
}: ButtonProps) {
  return (
    <button
      type="button"
      {...rest}
      aria-disabled={busy || undefined}
      aria-busy={busy || undefined}
      onClick={busy ? (event) => event.preventDefault() : onClick}
      className={classes(buttonClasses(look, size), className)}
    >
      {busy ? (
        <LoaderCircle aria-hidden className="size-3.5 animate-spin" />
      ) : (
        Icon && <Icon aria-hidden className="size-3.5 shrink-0" />
      )}
      {children}
    </button>
  );
}

/** A button of an icon alone; `label` is its name, and shown as its tooltip. */
export function IconButton({
  label,
  icon: Icon,
  look = "quiet",
  className,
  ...rest
}: ButtonProps & { label: string; icon: LucideIcon }) {
  return (
    <button
      type="button"
      aria-label={label}
      title={label}
      {...rest}
      className={classes(
        "inline-grid size-7 shrink-0 place-items-center rounded-md border pointer-coarse:size-10",
        "transition-colors disabled:opacity-50",
        LOOKS[look],
        className,
      )}
    >
      <Icon aria-hidden className="size-4" />
    </button>
  );
}

export function ButtonLink({
  to,
  look = "plain",
  size = "md",
  icon: Icon,
  children,
}: Common & { to: string; children: React.ReactNode }) {
  return (
    <Link to={to} className={buttonClasses(look, size)}>
      {Icon && <Icon aria-hidden className="size-3.5 shrink-0" />}
      {children}
    </Link>
  );
}
