// The same as a list: every delegation below the one it was lent out of, for keys, screen readers
// and phones; thousands of them are no trouble.
import { Waypoints } from "lucide-react";
import { useDeferredValue, useMemo, useState } from "react";
import type { DelegationView } from "../../api/schema.gen.ts";
import { Checkbox, Field, TextInput } from "../../ui/field.tsx";
import { Empty } from "../../ui/notes.tsx";
import { type Column, DataTable } from "../../ui/table.tsx";
import { Ago } from "../../ui/time.tsx";
import { actionWords, type Facts, nameOf, placeWords, type Standing } from "./authority.ts";
import { StandingBadge } from "./chain.tsx";
import { standings } from "./graph.ts";

interface Row {
  readonly one: DelegationView;
  readonly depth: number;
  readonly standing: Standing;
  readonly to: string;
  readonly by: string;
  readonly may: string;
  readonly where: string;
}

const COLUMNS: ReadonlyArray<Column<Row>> = [
  {
    key: "to",
    header: "Lent to",
    width: "minmax(8rem, 2fr)",
    cell: ({ depth, to }) => (
      <span style={{ paddingInlineStart: `${depth}rem` }} className="font-medium">
        <span className="sr-only">{`level ${depth + 1}: `}</span>
        {to}
      </span>
    ),
  },
  {
    key: "by",
    header: "By",
    width: "minmax(6rem, 1fr)",
    from: "md",
    cell: ({ by }) => by,
    sort: ({ by }) => by,
  },
  {
    key: "may",
    header: "May do",
    width: "minmax(7rem, 2fr)",
    cell: ({ may }) => <code className="block truncate text-xs">{may}</code>,
    sort: ({ may }) => may,
  },
  {
    key: "where",
    header: "Where",
    width: "minmax(6rem, 2fr)",
    from: "sm",
    cell: ({ where }) => <span className="text-muted">{where}</span>,
    sort: ({ where }) => where,
  },
  {
    key: "until",
    header: "Until",
    width: "5.5rem",
    from: "lg",
    align: "end",
    cell: ({ one }) => <Ago at={one.expiresAt} />,
    sort: ({ one }) => one.expiresAt,
  },
  {
    key: "standing",
    header: "State",
    width: "5rem",
    cell: ({ standing }) => <StandingBadge standing={standing} />,
    sort: ({ standing }) => standing,
  },
];

const DEEPEST = 5;

export function ListPart({
  facts,
  chosen,
  onOpen,
}: {
  facts: Facts;
  chosen: string | null;
  onOpen: (link: string) => void;
}) {
  const [typed, setTyped] = useState("");
  const [ended, setEnded] = useState(false);
  const wanted = useDeferredValue(typed.trim().toLowerCase());
  const rows = useMemo(() => rowsOf(facts), [facts]);
  const shown = useMemo(
    () =>
      rows.filter(
        (row) =>
          (ended || row.standing === "in force") &&
          (wanted === "" ||
            [row.to, row.by, row.may, row.where, row.one.id, row.one.subject].some((text) =>
              text.toLowerCase().includes(wanted),
            )),
      ),
    [rows, wanted, ended],
  );
  return (
    <div>
      <div className="flex flex-wrap items-end gap-x-6 gap-y-2 pb-3">
        <Field label="Find by name, action, place or id">
          {(props) => (
            <TextInput
              {...props}
              type="search"
              spellCheck={false}
              value={typed}
              onChange={(event) => setTyped(event.target.value)}
            />
          )}
        </Field>
        <Checkbox
          className="pb-1.5"
          label="Also what has ended"
          checked={ended}
          onChange={(event) => setEnded(event.target.checked)}
        />
      </div>
      {shown.length === 0 ? (
        <Empty icon={Waypoints} title="No delegation is like that">
          {!ended && "What was revoked or has run out is left out here."}
        </Empty>
      ) : (
        <DataTable
          label="Delegations"
          rows={shown}
          columns={COLUMNS}
          rowKey={(row) => row.one.id}
          onOpen={(row) => onOpen(row.one.id)}
          chosen={chosen}
        />
      )}
    </div>
  );
}

/** Each delegation behind the one it was lent out of; those whose parent is not held at the end. */
function rowsOf(facts: Facts): readonly Row[] {
  const standing = standings(facts, Date.now());
  const below = new Map<string | null, DelegationView[]>();
  const held = new Set(facts.delegations.map((one) => one.digest));
  for (const one of facts.delegations) {
    const parent = one.parent !== null && held.has(one.parent) ? one.parent : null;
    below.set(parent, [...(below.get(parent) ?? []), one]);
  }
  const rows: Row[] = [];
  const seen = new Set<string>();
  const add = (ones: readonly DelegationView[], depth: number) => {
    const named = ones.map((one) => ({ one, to: nameOf(one.subject, facts) }));
    for (const { one, to } of named.sort((a, b) => a.to.localeCompare(b.to))) {
      if (seen.has(one.id)) continue;
      seen.add(one.id);
      rows.push({
        one,
        depth,
        standing: standing.get(one.id) ?? "cut off",
        to,
        by: nameOf(one.issuer, facts),
        may: actionWords(one.capabilities),
        where: [...new Set(one.capabilities.map((item) => placeWords(item, facts)))].join("; "),
      });
      if (depth < DEEPEST) add(below.get(one.digest) ?? [], depth + 1);
    }
  };
  add(below.get(null) ?? [], 0);
  return rows;
}
