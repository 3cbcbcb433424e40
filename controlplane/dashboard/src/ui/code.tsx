// Code, JSON and output of agents: inert, with a bound on what is drawn.
import { useMemo, useState } from "react";
import { Button } from "./button.tsx";
import { classes } from "./classes.ts";
import { CopyButton } from "./copy.tsx";
import { inert } from "./inert.ts";

const MOST_CHARS = 100_000;

export function CodeBlock({
  text,
  label,
  json = false,
  className,
}: {
  text: string;
  label: string;
  json?: boolean;
  className?: string;
}) {
  const [whole, setWhole] = useState(false);
  const cut = !whole && text.length > MOST_CHARS;
  const shown = useMemo(() => inert(cut ? text.slice(0, MOST_CHARS) : text), [text, cut]);
  return (
    <figure
      className={classes("relative min-w-0 rounded-md border border-line bg-sunken", className)}
    >
      <figcaption className="sr-only">{label}</figcaption>
      <div className="absolute top-1 right-1">
        <CopyButton text={text} label={`Copy ${label}`} />
      </div>
      <pre
        tabIndex={0}
        role="region"
        aria-label={label}
        className="max-h-[60vh] overflow-auto p-3 pr-10 text-xs/5 whitespace-pre-wrap"
      >
        {json && shown.length <= MOST_CHARS ? <Tokens text={shown} /> : shown}
      </pre>
      {cut && (
        <div className="border-t border-line p-2 text-muted">
          {`The first ${MOST_CHARS.toLocaleString()} of ${text.length.toLocaleString()} characters. `}
          <Button size="sm" onClick={() => setWhole(true)}>
            Show everything
          </Button>
        </div>
      )}
    </figure>
  );
}

/** Any value as indented JSON. */
export function JsonView({ value, label }: { value: unknown; label: string }) {
  const text = useMemo(() => JSON.stringify(value, null, 2) ?? "null", [value]);
  return <CodeBlock text={text} label={label} json />;
}

const TOKEN =
  /("(?:[^"\\]|\\.)*")(\s*:)?|(-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)|\b(true|false|null)\b/g;

function Tokens({ text }: { text: string }) {
  const parts: React.ReactNode[] = [];
  let at = 0;
  for (const found of text.matchAll(TOKEN)) {
    parts.push(text.slice(at, found.index));
    const [all, string, colon] = found;
    const look = string ? (colon ? "text-code-key" : "text-code-text") : "text-code-number";
    parts.push(
      <span key={found.index} className={look}>
        {string ?? all}
      </span>,
      colon ?? "",
    );
    at = found.index + all.length;
  }
  parts.push(text.slice(at));
  return parts;
}
