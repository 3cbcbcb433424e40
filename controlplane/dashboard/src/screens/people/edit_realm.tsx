// What a realm is for, and the services its people may show themselves to by tokens.
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { api } from "../../api/client.ts";
import type { RealmView } from "../../api/schema.gen.ts";
import { CodeField, Field, TextArea } from "../../ui/field.tsx";
import { FormDialog } from "../../ui/form_dialog.tsx";
import { inert } from "../../ui/inert.ts";
import { toast } from "../../ui/toasts.tsx";

export function EditRealmDialog({ realm, onClose }: { realm: RealmView; onClose: () => void }) {
  const client = useQueryClient();
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
    <FormDialog
      title={`Edit realm ${inert(seen.id)}`}
      description="Its name stands in signed documents and stays."
      dismissible={description === seen.description && audiences === seen.audiences.join("\n")}
      verb="Save"
      sending={save}
      onClose={onClose}
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
      <CodeField
        label="Services that tokens are made for"
        hint="One a line, as those services call themselves, such as https://build.example."
        rows={3}
        value={audiences}
        onChange={setAudiences}
      />
    </FormDialog>
  );
}
