// The realms there are: walls between which people, agents and orders are apart.
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { Fence, Plus } from "lucide-react";
import { useState } from "react";
import { useLocation } from "wouter";
import { api } from "../../api/client.ts";
import { useCan } from "../../api/me.ts";
import type { RealmView } from "../../api/schema.gen.ts";
import { Button } from "../../ui/button.tsx";
import { Field, TextArea, TextInput } from "../../ui/field.tsx";
import { FormDialog } from "../../ui/form_dialog.tsx";
import { inert } from "../../ui/inert.ts";
import { Empty, Failed, Waiting } from "../../ui/notes.tsx";
import { type Column, DataTable } from "../../ui/table.tsx";
import { Ago } from "../../ui/time.tsx";
import { PeopleFrame } from "./frame.tsx";
import { useRealms } from "./queries.ts";

const COLUMNS: ReadonlyArray<Column<RealmView>> = [
  {
    key: "id",
    header: "Realm",
    width: "minmax(7rem, 1fr)",
    cell: (realm) => <span className="font-medium">{inert(realm.id)}</span>,
    sort: (realm) => realm.id,
  },
  {
    key: "description",
    header: "What it is for",
    width: "minmax(8rem, 3fr)",
    cell: (realm) => <span className="text-muted">{inert(realm.description)}</span>,
  },
  {
    key: "made",
    header: "Made",
    width: "5.5rem",
    align: "end",
    from: "sm",
    cell: (realm) => <Ago at={realm.createdAt} />,
    sort: (realm) => realm.createdAt,
  },
];

export function RealmsPage() {
  const [, navigate] = useLocation();
  const mayMake = useCan("realms.write");
  const [making, setMaking] = useState(false);
  const { items, more, isPending, isError, error, data, refetch } = useRealms();
  return (
    <PeopleFrame
      actions={
        mayMake && (
          <Button look="primary" icon={Plus} onClick={() => setMaking(true)}>
            New realm
          </Button>
        )
      }
    >
      {isPending && <Waiting lines={5} />}
      {isError && !data && <Failed error={error} onRetry={() => void refetch()} />}
      {data && items.length === 0 && (
        <Empty icon={Fence} title="You are in no realm">
          Somebody who manages one has to take you in.
        </Empty>
      )}
      {items.length > 0 && (
        <DataTable
          label="Realms"
          rows={items}
          columns={COLUMNS}
          rowKey={(realm) => realm.id}
          href={(realm) => `/people/realms/${encodeURIComponent(realm.id)}`}
          onEnd={more}
        />
      )}
      {making && (
        <NewRealm
          onClose={() => setMaking(false)}
          onMade={(id) => navigate(`/people/realms/${encodeURIComponent(id)}`)}
        />
      )}
    </PeopleFrame>
  );
}

function NewRealm({ onClose, onMade }: { onClose: () => void; onMade: (id: string) => void }) {
  const client = useQueryClient();
  const [id, setId] = useState("");
  const [description, setDescription] = useState("");
  const make = useMutation({
    mutationFn: () => api.post("/api/v1/realms", { body: { id: id.trim(), description } }),
    onSuccess: (realm) => {
      void client.invalidateQueries({ queryKey: ["people"] });
      onMade(realm.id);
    },
  });
  return (
    <FormDialog
      title="New realm"
      dismissible={id === "" && description === ""}
      verb="Make it"
      sending={make}
      onClose={onClose}
    >
      <Field
        label="Name"
        hint="It stands in signed documents, so it can never be changed."
        required
      >
        {(props) => (
          <TextInput
            {...props}
            required
            autoComplete="off"
            autoCapitalize="none"
            spellCheck={false}
            placeholder="lab"
            value={id}
            onChange={(event) => setId(event.target.value)}
          />
        )}
      </Field>
      <Field label="What it is for">
        {(props) => (
          <TextArea
            {...props}
            rows={2}
            maxLength={1000}
            value={description}
            onChange={(event) => setDescription(event.target.value)}
          />
        )}
      </Field>
    </FormDialog>
  );
}
