// The form of a place for files. Secrets are typed and sent, and never come back.
import { Field, Select, TextInput } from "../../ui/field.tsx";
import type { Draft, Kind, Login } from "./place.ts";

export function PlaceForm({
  draft,
  keeps,
  onChange,
}: {
  draft: Draft;
  /** Whether the credentials that are kept would go on. */
  keeps: boolean;
  onChange: (draft: Draft) => void;
}) {
  const set = (part: Partial<Draft>) => onChange({ ...draft, ...part });
  const text = (name: keyof Draft, more: Record<string, unknown> = {}) => ({
    autoComplete: "off",
    autoCapitalize: "none",
    spellCheck: false,
    maxLength: 500,
    value: draft[name],
    onChange: (event: { target: { value: string } }) => set({ [name]: event.target.value }),
    ...more,
  });
  return (
    <>
      <Field label="Kind">
        {(props) => (
          <Select
            {...props}
            value={draft.kind}
            onChange={(event) => set({ kind: event.target.value as Kind })}
          >
            <option value="start">As the hub was started</option>
            <option value="folder">A folder on its disk</option>
            <option value="s3">S3</option>
          </Select>
        )}
      </Field>
      {draft.kind === "folder" && (
        <Field
          label="Folder"
          hint="Inside the hub's data folder; no other can be chosen here."
          required
        >
          {(props) => (
            <TextInput {...props} {...text("folder", { required: true, placeholder: "files" })} />
          )}
        </Field>
      )}
      {draft.kind === "s3" && (
        <>
          <div className="grid gap-4 sm:grid-cols-2">
            <Field label="Bucket, and a prefix in it" required>
              {(props) => (
                <TextInput
                  {...props}
                  {...text("bucket", { required: true, placeholder: "bucket/writ" })}
                />
              )}
            </Field>
            <Field label="Server" hint="Empty for Amazon's own.">
              {(props) => (
                <TextInput
                  {...props}
                  {...text("endpoint", { placeholder: "https://s3.example.org" })}
                />
              )}
            </Field>
            <Field label="Region" hint="Where the server asks for one.">
              {(props) => (
                <TextInput
                  {...props}
                  {...text("region", { placeholder: "eu-central-1", maxLength: 100 })}
                />
              )}
            </Field>
            <Field label="Access key">
              {(props) => (
                <Select
                  {...props}
                  value={draft.login}
                  onChange={(event) => set({ login: event.target.value as Login })}
                >
                  {keeps && <option value="keep">the one that is kept</option>}
                  <option value="new">another one</option>
                  <option value="machine">that of the hub's machine</option>
                </Select>
              )}
            </Field>
          </div>
          {draft.login === "new" && (
            <div className="grid gap-4 sm:grid-cols-2">
              <Field label="Access key ID" required>
                {(props) => <TextInput {...props} {...text("keyId", { required: true })} />}
              </Field>
              <Field label="Secret access key" hint="Kept sealed, never shown again." required>
                {(props) => (
                  <TextInput
                    {...props}
                    {...text("secret", {
                      required: true,
                      type: "password",
                      autoComplete: "new-password",
                    })}
                  />
                )}
              </Field>
            </div>
          )}
        </>
      )}
    </>
  );
}
