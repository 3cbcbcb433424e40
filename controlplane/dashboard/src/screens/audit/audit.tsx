// The record, newest first: who did what, filtered by the address, exported, verified.
import { useQuery } from "@tanstack/react-query";
import { Download, ScrollText, X } from "lucide-react";
import { useState } from "react";
import { Link } from "wouter";
import type { LeafView } from "../../api/schema.gen.ts";
import { type Address, chosen, useAddress } from "../../app/address.ts";
import { Page } from "../../app/page.tsx";
import { Who } from "../../people/who.tsx";
import { Button, buttonClasses } from "../../ui/button.tsx";
import { Field, Select, TextInput } from "../../ui/field.tsx";
import { inert } from "../../ui/inert.ts";
import { Empty, Failed, Note, Waiting } from "../../ui/notes.tsx";
import { type Column, DataTable } from "../../ui/table.tsx";
import { Ago } from "../../ui/time.tsx";
import { Assurance, EntryDrawer } from "./entry.tsx";
import { Memory } from "./memory.tsx";
import {
  exportAddress,
  FAMILIES,
  FILTERS,
  type Filters,
  forkReports,
  useEntries,
} from "./queries.ts";
import { VerifyRecord } from "./verify.tsx";

const COLUMNS: ReadonlyArray<Column<LeafView>> = [
  {
    key: "kind",
    header: "What",
    width: "minmax(7.5rem, 2fr)",
    cell: (entry) => <span className="font-medium">{inert(entry.kind)}</span>,
  },
  {
    key: "actor",
    header: "Who",
    width: "minmax(6rem, 2fr)",
    cell: (entry) => <Who id={entry.actor} />,
  },
  {
    key: "assurance",
    header: "How known",
    width: "7rem",
    from: "md",
    cell: (entry) => <Assurance value={entry.assurance} />,
  },
  {
    key: "subject",
    header: "About",
    width: "minmax(8rem, 2fr)",
    from: "lg",
    cell: (entry) => <code className="text-xs text-muted">{inert(entry.subject)}</code>,
  },
  {
    key: "realms",
    header: "Realm",
    width: "minmax(5rem, 1fr)",
    from: "md",
    cell: (entry) => inert(entry.realms.join(", ")) || <span className="text-faint">hub</span>,
  },
  {
    key: "index",
    header: "Entry",
    width: "5rem",
    from: "sm",
    align: "end",
    cell: (entry) => entry.index,
  },
  {
    key: "at",
    header: "When",
    width: "5.5rem",
    align: "end",
    cell: (entry) => <Ago at={entry.at} />,
  },
];

export default function Audit() {
  const { params, change, clear } = useAddress();
  const filters = chosen(params, FILTERS);
  const entries = useEntries(filters);
  const [open, setOpen] = useState<LeafView>();
  const filtered = Object.keys(filters).length > 0;
  return (
    <Page
      title="Audit"
      about="Every change, appended in the same transaction and signed as one tree."
      actions={
        <>
          <Export filters={filters} />
          <VerifyRecord />
        </>
      }
      flush
    >
      <Memory />
      <Forks />
      <FilterBar filters={filters} change={change} onClear={clear} />
      {entries.isPending ? (
        <Waiting lines={6} />
      ) : entries.isError ? (
        <Failed error={entries.error} onRetry={() => void entries.refetch()} />
      ) : entries.items.length === 0 ? (
        <Empty icon={ScrollText} title={filtered ? "No entry is like that" : "Nothing yet"}>
          {filtered ? null : <p>What happens from now on is recorded here.</p>}
        </Empty>
      ) : (
        <DataTable
          label="Entries of the record"
          rows={entries.items}
          columns={COLUMNS}
          rowKey={(entry) => String(entry.index)}
          onOpen={setOpen}
          chosen={open ? String(open.index) : null}
          onEnd={entries.more}
        />
      )}
      <EntryDrawer entry={open} onClose={() => setOpen(undefined)} />
    </Page>
  );
}

/** Said above everything else, for good: what the record says of itself is in doubt. */
function Forks() {
  const forks = useQuery(forkReports);
  const newest = forks.data?.items[0];
  if (!newest) return null;
  return (
    <div className="px-4 pb-3 sm:px-3">
      <Note tone="bad">
        <span className="font-medium">The record has a fork.</span> Two checkpoints that its log has
        signed cannot both be true. Reported <Ago at={newest.at} /> by <Who id={newest.actor} />.{" "}
        <Link to="/audit?kind=audit.fork_reported" className="underline">
          See the proof
        </Link>
      </Note>
    </div>
  );
}

function Export({ filters }: { filters: Filters }) {
  const [format, setFormat] = useState<"proof" | "jsonl" | "cef">("proof");
  return (
    <span className="flex items-center gap-1">
      <label className="sr-only" htmlFor="export-format">
        Export as
      </label>
      <Select
        id="export-format"
        value={format}
        onChange={(event) => setFormat(event.target.value as typeof format)}
      >
        <option value="proof">with proof</option>
        <option value="jsonl">JSON lines</option>
        <option value="cef">CEF</option>
      </Select>
      <a
        className={buttonClasses()}
        href={exportAddress(filters, format)}
        download={`record.${format === "cef" ? "cef" : "jsonl"}`}
      >
        <Download aria-hidden className="size-3.5 shrink-0" />
        Export
      </a>
    </span>
  );
}

const TEXTS = [
  ["actor", "Who", "DID, user:… or hub"],
  ["subject", "About", "an id or a DID"],
  ["realm", "Realm", "any"],
] as const;

function FilterBar({
  filters,
  change,
  onClear,
}: {
  filters: Filters;
  change: Address["change"];
  onClear: () => void;
}) {
  return (
    <div className="flex flex-wrap items-end gap-2 px-4 pb-3 sm:px-3">
      <Field label="What">
        {(props) => (
          <Select
            {...props}
            value={filters.kind ?? ""}
            onChange={(event) => change({ kind: event.target.value })}
          >
            <option value="">anything</option>
            {FAMILIES.map((family) => (
              <option key={family} value={`${family}.*`}>
                {family.replaceAll("_", " ")}
              </option>
            ))}
          </Select>
        )}
      </Field>
      {TEXTS.map(([name, label, hint]) => (
        <Field key={name} label={label}>
          {(props) => (
            <TextInput
              {...props}
              key={filters[name] ?? ""}
              className="max-w-44"
              placeholder={hint}
              spellCheck={false}
              defaultValue={filters[name] ?? ""}
              onBlur={(event) => change({ [name]: event.target.value.trim() })}
              onKeyDown={(event) => {
                if (event.key === "Enter") change({ [name]: event.currentTarget.value.trim() });
              }}
            />
          )}
        </Field>
      ))}
      {(["since", "until"] as const).map((name) => (
        <Field key={name} label={name === "since" ? "From day" : "Before day"}>
          {(props) => (
            <TextInput
              {...props}
              type="date"
              value={filters[name]?.slice(0, 10) ?? ""}
              onChange={(event) =>
                change({ [name]: event.target.value && `${event.target.value}T00:00:00.000Z` })
              }
            />
          )}
        </Field>
      ))}
      {Object.keys(filters).length > 0 && (
        <Button look="quiet" icon={X} onClick={onClear}>
          Clear
        </Button>
      )}
    </div>
  );
}
