// Form controls with a label, a hint and what is wrong with them, joined for screen readers.
import { ChevronDown } from "lucide-react";
import {
  type InputHTMLAttributes,
  type ReactNode,
  type SelectHTMLAttributes,
  type TextareaHTMLAttributes,
  useId,
} from "react";
import { classes } from "./classes.ts";

export interface ControlProps {
  id: string;
  "aria-describedby": string | undefined;
  "aria-invalid": boolean | undefined;
}

interface FieldProps {
  label: ReactNode;
  hint?: ReactNode;
  error?: string | null | undefined;
  required?: boolean;
  children: (props: ControlProps) => ReactNode;
}

export function Field({ label, hint, error, required = false, children }: FieldProps) {
  const id = useId();
  const about = [hint ? `${id}-hint` : null, error ? `${id}-error` : null].filter(Boolean);
  return (
    <div className="flex min-w-0 flex-col gap-1">
      <label htmlFor={id} className="text-xs font-medium text-muted">
        {label}
        {required && (
          <span className="text-bad" title="required">
            {" *"}
          </span>
        )}
      </label>
      {children({
        id,
        "aria-describedby": about.length > 0 ? about.join(" ") : undefined,
        "aria-invalid": error ? true : undefined,
      })}
      {hint && (
        <p id={`${id}-hint`} className="text-xs text-faint">
          {hint}
        </p>
      )}
      {error && (
        <p id={`${id}-error`} className="text-xs text-bad">
          {error}
        </p>
      )}
    </div>
  );
}

const CONTROL = classes(
  "w-full min-w-0 rounded-md border border-field-line bg-surface px-2.5 text-ink",
  "placeholder:text-faint aria-invalid:border-bad-mark disabled:opacity-60",
);

export function TextInput({ className, ...rest }: InputHTMLAttributes<HTMLInputElement>) {
  return <input {...rest} className={classes(CONTROL, "h-8 pointer-coarse:h-11", className)} />;
}

export function TextArea({ className, ...rest }: TextareaHTMLAttributes<HTMLTextAreaElement>) {
  return <textarea {...rest} className={classes(CONTROL, "py-1.5", className)} />;
}

interface CodeProps
  extends Omit<
    TextareaHTMLAttributes<HTMLTextAreaElement>,
    "onChange" | "className" | "spellCheck" | "required"
  > {
  onChange: (value: string) => void;
}

/** Lines that a machine reads: in letters of one width, and no words to be spelled. */
export function CodeArea({ onChange, ...rest }: CodeProps) {
  return (
    <TextArea
      {...rest}
      spellCheck={false}
      className="font-mono text-xs"
      onChange={(event) => onChange(event.target.value)}
    />
  );
}

export function CodeField({
  label,
  hint,
  error,
  ...area
}: Pick<FieldProps, "label" | "hint" | "error"> & Omit<CodeProps, "id">) {
  return (
    <Field label={label} hint={hint} error={error}>
      {(props) => <CodeArea {...area} {...props} />}
    </Field>
  );
}

export function Select({ className, children, ...rest }: SelectHTMLAttributes<HTMLSelectElement>) {
  return (
    <span className={classes("relative inline-flex min-w-0", className)}>
      <select
        {...rest}
        className={classes(CONTROL, "h-8 appearance-none pr-7 pointer-coarse:h-11")}
      >
        {children}
      </select>
      <ChevronDown
        aria-hidden
        className="pointer-events-none absolute top-1/2 right-2 size-3.5 -translate-y-1/2 text-muted"
      />
    </span>
  );
}

export function Checkbox({
  label,
  hint,
  className,
  ...rest
}: InputHTMLAttributes<HTMLInputElement> & { label: ReactNode; hint?: ReactNode }) {
  const id = useId();
  return (
    <div className={classes("flex gap-2", className)}>
      <input
        {...rest}
        id={id}
        type="checkbox"
        aria-describedby={hint ? `${id}-hint` : undefined}
        className="mt-0.5 size-4 shrink-0 accent-accent"
      />
      <div>
        <label htmlFor={id}>{label}</label>
        {hint && (
          <p id={`${id}-hint`} className="text-xs text-faint">
            {hint}
          </p>
        )}
      </div>
    </div>
  );
}
