// What a realm is for, and the services its people may show themselves to by tokens.
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useId, useState } from "react";
import { api } from "../../api/client.ts";
import { asProblem } from "../../api/problem.ts";
import type { RealmView } from "../../api/schema.gen.ts";
import { Button } from "../../ui/button.tsx";
import { Dialog } from "../../ui/dialog.tsx";
import { Field, TextArea } from "../../ui/field.tsx";
import { inert } from "../../ui/inert.ts";
import { ProblemNote } from "../../ui/notes.tsx";
import { toast } from "../../ui/toasts.tsx";

export function EditRealmDialog({ realm, onClose }: { realm: RealmView; onClose: () => void }) {
  const client = useQueryClient();
  const form = useId();
  const [seen] = useState(realm);
  const [description, setDescription] = useState(seen.description);
  const [audiences, setAudiences] = useState(seen.audiences.join("\n"));
  const save = useMutation({
    mutationFn: () =>
      api.patch("/api/v1/realms/{id}", {
        path: { id: seen.id },
        ifMatch: seen.etag,
        body: { description, audiences: audiences.split(/\s+/).filter(Boolean) },
      }),
    onSuccess: async () => {
      await client.invalidateQueries({ queryKey: ["people"] });
      toast("Saved");
      onClose();
    },
  });
  return (
    <Dialog
      open
      onOpenChange={onClose}
      title={`Edit realm ${inert(seen.id)}`}
      description="Its name stands in signed documents and stays."
      dismissible={description === seen.description && audiences === seen.audiences.join("\n")}
      footer={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button type="submit" form={form} look="primary" busy={save.isPending}>
            Save
          </Button>
        </>
      }
    >
      <form
        id={form}
        className="flex flex-col gap-4 pb-3"
        onSubmit={(event) => {
          event.preventDefault();
          save.mutate();
        }}
      >
        <Field label="What it is for">
          {(props) => (
            <TextArea
              {...props}
              rows={3}
              maxLength={1000}
              value={description}
              onChange={(event) => setDescription(event.target.value)}
            />
          )}
        </Field>
        <Field
          label="Services that tokens are made for"
          hint="One a line, as those services call themselves, such as https://build.example."
        >
          {(props) => (
            <TextArea
              {...props}
              rows={3}
              spellCheck={false}
              className="font-mono text-xs"
              value={audiences}
              onChange={(event) => setAudiences(event.target.value)}
            />
          )}
        </Field>
        {save.error && <ProblemNote problem={asProblem(save.error)} />}
      </form>
    </Dialog>
  );
}
