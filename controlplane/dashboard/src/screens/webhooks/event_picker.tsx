// Everything, or families and kinds of events out of a list.
import { useQuery } from "@tanstack/react-query";
import { useEffect, useRef } from "react";
import { inert } from "../../ui/inert.ts";
import { Failed, Waiting } from "../../ui/notes.tsx";
import {
  type Chosen,
  chosenOf,
  EVERYTHING,
  type Family,
  familiesOf,
  isChosen,
  toggleFamily,
  toggleKind,
} from "./events.ts";
import { eventKinds } from "./queries.ts";

interface Props {
  patterns: readonly string[];
  onChange: (patterns: readonly string[]) => void;
  error: string | undefined;
}

export function EventPicker({ patterns, onChange, error }: Props) {
  const kinds = useQuery(eventKinds);
  const everything = patterns.includes(EVERYTHING);
  return (
    <fieldset className="flex min-w-0 flex-col gap-2">
      <legend className="mb-1 text-xs font-medium text-muted">Told of</legend>
      <div className="flex flex-wrap gap-x-5 gap-y-1">
        <Radio
          label="everything that happens"
          checked={everything}
          on={() => onChange([EVERYTHING])}
        />
        <Radio label="only some of it" checked={!everything} on={() => onChange([])} />
      </div>
      {!everything && kinds.isPending && <Waiting lines={4} />}
      {!everything && kinds.isError && (
        <Failed error={kinds.error} onRetry={() => void kinds.refetch()} />
      )}
      {!everything && kinds.data && (
        <ul
          aria-label="Events"
          className="max-h-80 overflow-y-auto rounded-md border border-line sm:grid sm:grid-cols-2"
        >
          {familiesOf(kinds.data.items).map((family) => (
            <li key={family.name} className="has-[details[open]]:col-span-2">
              <FamilyChoice family={family} patterns={patterns} onChange={onChange} />
            </li>
          ))}
        </ul>
      )}
      {!everything && (
        <p role="status" className="text-xs text-muted">
          {patterns.length === 0
            ? "Choose at least one."
            : `Asked for: ${inert([...patterns].sort().join(", "))}`}
        </p>
      )}
      {error && <p className="text-xs text-bad">{error}</p>}
    </fieldset>
  );
}

function Radio({ label, checked, on }: { label: string; checked: boolean; on: () => void }) {
  return (
    <label className="inline-flex items-center gap-2">
      <input
        type="radio"
        name="told-of"
        checked={checked}
        onChange={on}
        className="size-4 accent-accent"
      />
      {label}
    </label>
  );
}

function FamilyChoice({
  family,
  patterns,
  onChange,
}: {
  family: Family;
  patterns: readonly string[];
  onChange: (patterns: readonly string[]) => void;
}) {
  const chosen = chosenOf(family, patterns);
  const word = family.name.replaceAll("_", " ");
  return (
    <div className="flex gap-2 px-3 py-1.5">
      <FamilyBox
        label={`All of ${word}`}
        chosen={chosen}
        on={() => onChange(toggleFamily(family, patterns))}
      />
      <details className="group min-w-0 flex-1">
        <summary className="flex cursor-default items-center gap-2">
          <span className="flex-1">{word}</span>
          <span className="text-xs text-muted group-open:hidden">
            {chosen === "some"
              ? `${family.kinds.filter((one) => patterns.includes(one.type)).length} of ${family.kinds.length}`
              : family.kinds.length}
          </span>
          <span
            aria-hidden
            className="text-xs text-faint transition-transform group-open:rotate-90"
          >
            ›
          </span>
        </summary>
        <ul className="flex flex-col gap-1 py-1.5">
          {family.kinds.map((kind) => (
            <li key={kind.type}>
              <label className="flex gap-2">
                <input
                  type="checkbox"
                  checked={isChosen(kind.type, family, patterns)}
                  onChange={() => onChange(toggleKind(kind.type, family, patterns))}
                  className="mt-0.5 size-4 shrink-0 accent-accent"
                />
                <span className="min-w-0">
                  <code className="text-xs">{kind.type}</code>
                  <span className="block text-xs text-muted">{kind.description}</span>
                </span>
              </label>
            </li>
          ))}
        </ul>
      </details>
    </div>
  );
}

function FamilyBox({ label, chosen, on }: { label: string; chosen: Chosen; on: () => void }) {
  const box = useRef<HTMLInputElement>(null);
  useEffect(() => {
    if (box.current) box.current.indeterminate = chosen === "some";
  }, [chosen]);
  return (
    <input
      ref={box}
      type="checkbox"
      aria-label={label}
      checked={chosen === "all"}
      onChange={on}
      className="mt-0.5 size-4 shrink-0 accent-accent"
    />
  );
}
