// API keys: whose they are, what they are narrowed to, when each was last used.
import { KeyRound, Plus } from "lucide-react";
import { useState } from "react";
import { useCan } from "../../api/me.ts";
import type { ApiKeyView } from "../../api/schema.gen.ts";
import { useAddress } from "../../app/address.ts";
import { Button } from "../../ui/button.tsx";
import { inert } from "../../ui/inert.ts";
import { Empty, Failed, Waiting } from "../../ui/notes.tsx";
import { type Column, DataTable } from "../../ui/table.tsx";
import { Ago } from "../../ui/time.tsx";
import { PeopleFrame } from "./frame.tsx";
import { KeyDrawer } from "./key_drawer.tsx";
import { KeyStanding, ownerOf, reachOf } from "./key_words.tsx";
import { MakeKeyDialog } from "./make_key.tsx";
import { useApiKeys } from "./queries.ts";

const COLUMNS: ReadonlyArray<Column<ApiKeyView>> = [
  {
    key: "name",
    header: "Key",
    width: "minmax(7rem, 2fr)",
    cell: (key) => <span className="font-medium">{inert(key.name)}</span>,
  },
  {
    key: "owner",
    header: "Acts for",
    width: "minmax(6rem, 1fr)",
    from: "sm",
    cell: ownerOf,
  },
  {
    key: "reach",
    header: "May",
    width: "minmax(7rem, 2fr)",
    from: "md",
    cell: (key) => <span className="text-muted">{inert(reachOf(key))}</span>,
  },
  {
    key: "realm",
    header: "Realm",
    width: "minmax(5rem, 1fr)",
    from: "lg",
    cell: (key) =>
      key.realm === null ? <span className="text-faint">any</span> : inert(key.realm),
  },
  {
    key: "state",
    header: "State",
    width: "6rem",
    cell: (key) => <KeyStanding of={key} />,
  },
  {
    key: "used",
    header: "Last used",
    width: "5.5rem",
    align: "end",
    cell: (key) => <Ago at={key.lastUsedAt} />,
  },
];

export function KeysPage() {
  const mayMake = useCan("keys.write");
  const { params, clear } = useAddress();
  const service = params.get("make");
  const [making, setMaking] = useState(service !== null);
  const [open, setOpen] = useState<ApiKeyView | null>(null);
  const { items, more, isPending, isError, error, data, refetch } = useApiKeys();
  const stop = () => {
    setMaking(false);
    clear();
  };
  return (
    <PeopleFrame
      actions={
        mayMake && (
          <Button look="primary" icon={Plus} onClick={() => setMaking(true)}>
            New key
          </Button>
        )
      }
    >
      {isPending && <Waiting lines={5} />}
      {isError && !data && <Failed error={error} onRetry={() => void refetch()} />}
      {data && items.length === 0 && (
        <Empty icon={KeyRound} title="No keys yet">
          A key lets a program do what you may, or less. It ends when you do.
        </Empty>
      )}
      {items.length > 0 && (
        <DataTable
          label="API keys"
          rows={items}
          columns={COLUMNS}
          rowKey={(key) => key.id}
          onOpen={setOpen}
          chosen={open?.id ?? null}
          onEnd={more}
        />
      )}
      {making && <MakeKeyDialog service={service} onClose={stop} />}
      {open && (
        <KeyDrawer
          of={items.find((key) => key.id === open.id) ?? open}
          onClose={() => setOpen(null)}
        />
      )}
    </PeopleFrame>
  );
}
