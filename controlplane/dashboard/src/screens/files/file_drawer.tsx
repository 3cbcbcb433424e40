// One file: what is known of it, its bytes to save, its end.
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Download } from "lucide-react";
import { useState } from "react";
import { Link } from "wouter";
import { api, hubUrl } from "../../api/client.ts";
import { useCan } from "../../api/me.ts";
import { asProblem } from "../../api/problem.ts";
import type { FileView } from "../../api/schema.gen.ts";
import { Fact, Facts } from "../../app/page.tsx";
import { Who } from "../../people/who.tsx";
import { Button, buttonClasses } from "../../ui/button.tsx";
import { Confirm } from "../../ui/confirm.tsx";
import { CopyField } from "../../ui/copy.tsx";
import { Drawer } from "../../ui/dialog.tsx";
import { inert } from "../../ui/inert.ts";
import { Failed, Waiting } from "../../ui/notes.tsx";
import { Ago } from "../../ui/time.tsx";
import { toast } from "../../ui/toasts.tsx";
import { sizeOf } from "./size.ts";

export function FileDrawer({ id, onClose }: { id: string; onClose: () => void }) {
  const { data, error, isPending } = useQuery({
    queryKey: ["files", "one", id],
    queryFn: ({ signal }) => api.get("/api/v1/files/{id}", { path: { id }, signal }),
  });
  if (data) return <Shown file={data} onClose={onClose} />;
  return (
    <Drawer open onOpenChange={onClose} title="File">
      {isPending ? <Waiting lines={5} /> : <Failed error={error} />}
    </Drawer>
  );
}

function Shown({ file, onClose }: { file: FileView; onClose: () => void }) {
  const client = useQueryClient();
  const mayRemove = useCan("files.write");
  const [asked, setAsked] = useState(false);
  const name = inert(file.name);
  const remove = useMutation({
    mutationFn: () => api.delete("/api/v1/files/{id}", { path: { id: file.id } }),
    onSuccess: async () => {
      onClose();
      toast(`${name} is gone`);
      client.removeQueries({ queryKey: ["files", "one", file.id] });
      await client.invalidateQueries({ queryKey: ["files"] });
    },
  });
  return (
    <Drawer
      open
      onOpenChange={onClose}
      title={name}
      footer={
        <>
          {mayRemove && <Button onClick={() => setAsked(true)}>Delete</Button>}
          <a className={buttonClasses("primary")} href={hubUrl(file.content).href} download>
            <Download aria-hidden className="size-3.5 shrink-0" />
            Download
          </a>
        </>
      }
    >
      <div className="pb-4">
        <Facts>
          <Fact name="Name">
            <span className="break-all">{name}</span>
          </Fact>
          <Fact name="Size">
            <span className="tabular">{sizeOf(file.bytes)}</span>
          </Fact>
          <Fact name="Realm">{inert(file.realm)}</Fact>
          <Fact name="Said to be">
            <code className="text-xs">{inert(file.contentType)}</code>
          </Fact>
          <Fact name="From">
            <Who id={file.createdBy} />
          </Fact>
          <Fact name="Since">
            <Ago at={file.createdAt} />
          </Fact>
          {file.intentId !== null && (
            <Fact name="Output of">
              <Link to={`/orders/${file.intentId}`} className="underline underline-offset-2">
                an order
              </Link>
            </Fact>
          )}
          <Fact name="SHA-256">
            <CopyField value={file.sha256} label="SHA-256" short />
          </Fact>
          <Fact name="Id">
            <CopyField value={file.id} label="id" short />
          </Fact>
        </Facts>
      </div>
      <Confirm
        open={asked}
        onOpenChange={setAsked}
        title={`Delete ${name}?`}
        verb="Delete"
        danger
        busy={remove.isPending}
        problem={remove.error ? asProblem(remove.error) : null}
        onConfirm={() => remove.mutate()}
      >
        <p>It is gone for everybody at once. Orders that name it will not find it any more.</p>
      </Confirm>
    </Drawer>
  );
}
