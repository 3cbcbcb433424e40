// Files: those people put here and big outputs of orders, by realm or by order.
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Files as FilesIcon, Upload, X } from "lucide-react";
import { type DragEvent, useEffect, useRef, useState } from "react";
import { useLocation, useParams, useSearch } from "wouter";
import { api } from "../../api/client.ts";
import { useCan } from "../../api/me.ts";
import { usePages } from "../../api/pages.ts";
import type { FileView } from "../../api/schema.gen.ts";
import { useAddress } from "../../app/address.ts";
import { Page } from "../../app/page.tsx";
import { allRealms } from "../../people/realms.ts";
import { Who } from "../../people/who.tsx";
import { Button } from "../../ui/button.tsx";
import { classes } from "../../ui/classes.ts";
import { Select, TextInput } from "../../ui/field.tsx";
import { inert } from "../../ui/inert.ts";
import { Empty, Failed, Waiting } from "../../ui/notes.tsx";
import { type Column, DataTable } from "../../ui/table.tsx";
import { Ago } from "../../ui/time.tsx";
import { FileDrawer } from "./file_drawer.tsx";
import { sizeOf } from "./size.ts";
import { UploadList } from "./upload_list.tsx";
import { addUploads, onArrived } from "./uploads.ts";

const COLUMNS: ReadonlyArray<Column<FileView>> = [
  {
    key: "name",
    header: "Name",
    width: "minmax(9rem, 3fr)",
    cell: (file) => <span className="font-medium">{inert(file.name)}</span>,
    sort: (file) => file.name,
  },
  {
    key: "realm",
    header: "Realm",
    width: "minmax(5rem, 1fr)",
    from: "md",
    cell: (file) => inert(file.realm),
    sort: (file) => file.realm,
  },
  {
    key: "from",
    header: "From",
    width: "minmax(7rem, 1fr)",
    from: "md",
    cell: (file) =>
      file.intentId === null ? (
        <Who id={file.createdBy} />
      ) : (
        <span className="text-muted">an order</span>
      ),
  },
  {
    key: "size",
    header: "Size",
    width: "5.5rem",
    align: "end",
    cell: (file) => <span className="tabular">{sizeOf(file.bytes)}</span>,
    sort: (file) => file.bytes,
  },
  {
    key: "since",
    header: "Since",
    width: "5.5rem",
    align: "end",
    cell: (file) => <Ago at={file.createdAt} />,
    sort: (file) => file.createdAt,
  },
];

export default function Files() {
  const { id } = useParams<{ id?: string }>();
  const [, navigate] = useLocation();
  const search = useSearch();
  const client = useQueryClient();
  const { params, change, clear } = useAddress();
  const realm = params.get("realm") ?? "";
  const intent = params.get("intent") ?? "";
  const mayPut = useCan("files.write");
  const { items, more, isPending, isError, error, data, refetch } = usePages(
    ["files", "list", realm, intent],
    (page, signal) => api.get("/api/v1/files", { query: { ...page, realm, intent }, signal }),
  );
  useEffect(
    () => onArrived(() => void client.invalidateQueries({ queryKey: ["files"] })),
    [client],
  );
  const at = (path: string) => (search === "" ? path : `${path}?${search}`);
  const filtered = realm !== "" || intent !== "";
  return (
    <Page title="Files" flush actions={mayPut && <UploadButton realm={realm} />}>
      <DropPlace enabled={mayPut} realm={realm}>
        <UploadList />
        <Filters realm={realm} intent={intent} onChange={change} />
        {isPending && <Waiting lines={6} />}
        {isError && !data && <Failed error={error} onRetry={() => void refetch()} />}
        {data && items.length === 0 && (
          <Empty
            icon={FilesIcon}
            title={filtered ? "No file is like that" : "No files yet"}
            action={filtered && <Button onClick={clear}>Show all</Button>}
          >
            {!filtered &&
              "What you upload is here for orders to use; outputs too big for a result come here by themselves."}
          </Empty>
        )}
        {items.length > 0 && (
          <DataTable
            label="Files"
            rows={items}
            columns={COLUMNS}
            rowKey={(file) => file.id}
            href={(file) => at(`/files/${file.id}`)}
            chosen={id ?? null}
            onEnd={more}
          />
        )}
      </DropPlace>
      {id !== undefined && <FileDrawer id={id} onClose={() => navigate(at("/files"))} />}
    </Page>
  );
}

/** Where new files go: the realm that is looked at, else one to choose from. */
function UploadButton({ realm }: { realm: string }) {
  const input = useRef<HTMLInputElement>(null);
  const target = useTarget(realm);
  return (
    <>
      <input
        ref={input}
        type="file"
        multiple
        aria-label="Files to upload"
        className="hidden"
        onChange={(event) => {
          addUploads(event.target.files ?? [], target);
          // The same file can be chosen again.
          event.target.value = "";
        }}
      />
      <Button look="primary" icon={Upload} onClick={() => input.current?.click()}>
        {target === "default" || target === realm ? "Upload" : `Upload into ${inert(target)}`}
      </Button>
    </>
  );
}

function useTarget(realm: string): string {
  const realms = useQuery(allRealms).data?.items.map((one) => one.id) ?? [];
  if (realm !== "") return realm;
  return realms.includes("default") ? "default" : (realms[0] ?? "default");
}

function DropPlace({
  enabled,
  realm,
  children,
}: {
  enabled: boolean;
  realm: string;
  children: React.ReactNode;
}) {
  const [over, setOver] = useState(false);
  const target = useTarget(realm);
  const carries = (event: DragEvent) => enabled && event.dataTransfer.types.includes("Files");
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: dropping is beside the button, which keys reach
    <div
      className={classes(
        "min-h-96 rounded-lg",
        over && "outline-2 -outline-offset-2 outline-focus",
      )}
      onDragOver={(event) => {
        if (!carries(event)) return;
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={() => setOver(false)}
      onDrop={(event) => {
        if (!carries(event)) return;
        event.preventDefault();
        setOver(false);
        addUploads(event.dataTransfer.files, target);
      }}
    >
      {children}
    </div>
  );
}

function Filters({
  realm,
  intent,
  onChange,
}: {
  realm: string;
  intent: string;
  onChange: (part: Record<string, string>) => void;
}) {
  const realms = useQuery(allRealms).data?.items ?? [];
  return (
    <search className="flex flex-wrap items-center gap-2 px-4 pb-3 sm:px-3">
      <Select
        aria-label="Realm"
        value={realm}
        onChange={(event) => onChange({ realm: event.target.value })}
      >
        <option value="">Any realm</option>
        {realms.map((one) => (
          <option key={one.id} value={one.id}>
            {inert(one.id)}
          </option>
        ))}
      </Select>
      <TextInput
        key={intent}
        aria-label="Outputs of the order"
        placeholder="Id of an order"
        className="min-w-36 flex-1 sm:max-w-64"
        spellCheck={false}
        defaultValue={intent}
        onBlur={(event) => onChange({ intent: event.target.value.trim() })}
        onKeyDown={(event) => {
          if (event.key === "Enter") onChange({ intent: event.currentTarget.value.trim() });
        }}
      />
      {intent !== "" && (
        <Button look="quiet" icon={X} onClick={() => onChange({ intent: "" })}>
          Every order
        </Button>
      )}
    </search>
  );
}
