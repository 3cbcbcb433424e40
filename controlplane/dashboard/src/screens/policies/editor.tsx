// The text of a policy with its line numbers, and faults beside the line they are on.
import { type KeyboardEvent, useId, useRef } from "react";
import { classes } from "../../ui/classes.ts";
import type { Fault } from "./queries.ts";

export function Editor({
  label,
  text,
  onChange,
  faults,
  readOnly = false,
}: {
  label: string;
  text: string;
  onChange: (text: string) => void;
  faults: readonly Fault[];
  readOnly?: boolean;
}) {
  const id = useId();
  const numbers = useRef<HTMLPreElement>(null);
  const lines = text.split("\n").length;
  const bad = new Set(faults.map((fault) => fault.line));
  const indent = (event: KeyboardEvent<HTMLTextAreaElement>) => {
    // Tab moves on, as everywhere; two spaces come with Alt and Tab's neighbour would surprise.
    if (event.key !== "Enter") return;
    const area = event.currentTarget;
    const before = area.value.slice(0, area.selectionStart);
    const margin = /^ */.exec(before.slice(before.lastIndexOf("\n") + 1))?.[0] ?? "";
    if (margin === "") return;
    event.preventDefault();
    area.setRangeText(`\n${margin}`, area.selectionStart, area.selectionEnd, "end");
    onChange(area.value);
  };
  return (
    <div className="flex flex-col gap-2">
      <label htmlFor={id} className="sr-only">
        {label}
      </label>
      <div className="relative flex min-w-0 overflow-hidden rounded-md border border-field-line bg-surface font-mono text-xs/5 focus-within:outline-2 focus-within:outline-focus">
        <pre
          ref={numbers}
          aria-hidden
          className="max-h-[60vh] shrink-0 overflow-hidden bg-sunken px-2 py-2 text-right text-faint select-none"
        >
          {Array.from({ length: lines }, (_, at) => (
            <span
              // biome-ignore lint/suspicious/noArrayIndexKey: lines have no other name
              key={at}
              className={classes("block", bad.has(at + 1) && "bg-bad-ground font-bold text-bad")}
            >
              {at + 1}
            </span>
          ))}
        </pre>
        <textarea
          id={id}
          value={text}
          readOnly={readOnly}
          spellCheck={false}
          wrap="off"
          rows={Math.min(Math.max(lines, 8), 30)}
          aria-invalid={faults.length > 0 || undefined}
          aria-describedby={faults.length > 0 ? `${id}-faults` : undefined}
          onChange={(event) => onChange(event.target.value)}
          onKeyDown={indent}
          onScroll={(event) => {
            if (numbers.current) numbers.current.scrollTop = event.currentTarget.scrollTop;
          }}
          className="max-h-[60vh] min-w-0 flex-1 resize-none bg-transparent p-2 text-ink outline-none"
        />
      </div>
      {faults.length > 0 && (
        <ul id={`${id}-faults`} role="alert" className="flex flex-col gap-1 text-bad">
          {faults.map((fault) => (
            <li key={`${fault.line} ${fault.says}`}>
              {fault.line !== null && <span className="font-medium">{`Line ${fault.line}: `}</span>}
              {fault.says}
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}
