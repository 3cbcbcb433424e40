// A form made from a JSON schema: fields for what it knows, JSON for the rest.
import { Plus, X } from "lucide-react";
import { useState } from "react";
import { Button, IconButton } from "./button.tsx";
import { Checkbox, CodeArea, Field, Select, TextInput } from "./field.tsx";
import { inert } from "./inert.ts";
import { isObject, labelOf, type Schema } from "./schema.ts";

interface Props {
  schema: Schema;
  value: unknown;
  onChange: (value: unknown) => void;
  /** What is wrong, by JSON pointer; shown at its field. */
  faults?: Record<string, string>;
  pointer?: string;
}

/** The fields of an object; `value` is what was filled in, without what was left empty. */
export function SchemaForm({ schema, value, onChange, faults = {}, pointer = "" }: Props) {
  const names = Object.keys(schema.properties);
  if (schema.type !== "object" || names.length === 0)
    return (
      <JsonField
        label="Parameters"
        value={value}
        onChange={onChange}
        fault={faults[pointer] ?? null}
      />
    );
  const known = isObject(value) ? value : {};
  return (
    <div className="flex flex-col gap-3">
      {names.map((name) => (
        <SchemaField
          key={name}
          name={name}
          required={schema.required.has(name)}
          schema={schema.properties[name] as Schema}
          value={known[name]}
          faults={faults}
          pointer={`${pointer}/${name}`}
          onChange={(changed) => {
            const next = { ...known };
            if (changed === undefined) delete next[name];
            else next[name] = changed;
            onChange(next);
          }}
        />
      ))}
    </div>
  );
}

interface FieldProps extends Props {
  name: string;
  required: boolean;
  pointer: string;
}

function SchemaField({
  name,
  required,
  schema,
  value,
  onChange,
  faults = {},
  pointer,
}: FieldProps) {
  const label = inert(labelOf(name, schema.title));
  const hint = schema.description ? inert(schema.description) : undefined;
  const error = faults[pointer];
  const common = { label, hint, error, required };
  if (schema.enum?.every((one) => typeof one !== "object"))
    return (
      <Field {...common}>
        {(props) => (
          <Select
            {...props}
            value={value === undefined ? "" : String(value)}
            onChange={(event) =>
              onChange(schema.enum?.find((one) => String(one) === event.target.value))
            }
          >
            {(!required || value === undefined) && <option value="">—</option>}
            {schema.enum?.map((one) => (
              <option key={String(one)} value={String(one)}>
                {inert(String(one))}
              </option>
            ))}
          </Select>
        )}
      </Field>
    );
  switch (schema.type) {
    case "boolean":
      return (
        <Checkbox
          label={label}
          hint={hint}
          checked={value === true}
          onChange={(event) => onChange(event.target.checked || (required ? false : undefined))}
        />
      );
    case "integer":
    case "number":
      return (
        <Field {...common}>
          {(props) => (
            <TextInput
              {...props}
              type="number"
              inputMode="decimal"
              step={schema.type === "integer" ? 1 : "any"}
              min={schema.minimum ?? undefined}
              max={schema.maximum ?? undefined}
              placeholder={defaultText(schema)}
              value={typeof value === "number" ? value : ""}
              onChange={(event) =>
                onChange(event.target.value === "" ? undefined : event.target.valueAsNumber)
              }
            />
          )}
        </Field>
      );
    case "string":
      return <TextField {...common} schema={schema} value={value} onChange={onChange} />;
    case "array":
      if (schema.items?.type === "string" && !schema.items.enum)
        return (
          <ListField {...common} value={Array.isArray(value) ? value : []} onChange={onChange} />
        );
      return <JsonField {...common} value={value} onChange={onChange} fault={error ?? null} />;
    case "object":
      if (Object.keys(schema.properties).length > 0)
        return (
          <fieldset className="flex flex-col gap-3 rounded-md border border-line p-3">
            <legend className="px-1 text-xs font-medium text-muted">{label}</legend>
            <SchemaForm
              schema={schema}
              value={value}
              onChange={onChange}
              faults={faults}
              pointer={pointer}
            />
          </fieldset>
        );
      return <JsonField {...common} value={value} onChange={onChange} fault={error ?? null} />;
    default:
      return <JsonField {...common} value={value} onChange={onChange} fault={error ?? null} />;
  }
}

/** What counts where nothing is entered; a default of nothing is nothing to show. */
const defaultText = (schema: Schema): string | undefined =>
  schema.default === undefined || schema.default === null ? undefined : String(schema.default);

interface Common {
  label: string;
  hint?: string | undefined;
  error?: string | undefined;
  required?: boolean;
}

function TextField({
  schema,
  value,
  onChange,
  ...common
}: Common & { schema: Schema; value: unknown; onChange: (value: unknown) => void }) {
  const text = typeof value === "string" ? value : "";
  const long = (schema.maxLength ?? 0) > 500 || schema.format === "textarea";
  const [grown, setGrown] = useState(long || text.includes("\n"));
  const change = (next: string) => onChange(next === "" && !common.required ? undefined : next);
  return (
    <Field {...common}>
      {(props) =>
        grown ? (
          <CodeArea {...props} rows={4} value={text} onChange={change} />
        ) : (
          <TextInput
            {...props}
            spellCheck={false}
            autoComplete="off"
            placeholder={defaultText(schema)}
            value={text}
            onChange={(event) => change(event.target.value)}
            // Text of several lines is pasted whole: the field grows to hold it.
            onPaste={(event) => {
              const pasted = event.clipboardData.getData("text/plain");
              if (!pasted.includes("\n")) return;
              event.preventDefault();
              setGrown(true);
              change(text + pasted);
            }}
          />
        )
      }
    </Field>
  );
}

function ListField({
  value,
  onChange,
  ...common
}: Common & { value: unknown[]; onChange: (value: unknown) => void }) {
  const rows = value.map((one) => (typeof one === "string" ? one : JSON.stringify(one)));
  const put = (next: string[]) => onChange(next.length === 0 ? undefined : next);
  return (
    <fieldset className="flex flex-col gap-1">
      <legend className="mb-1 text-xs font-medium text-muted">{common.label}</legend>
      {rows.map((row, at) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: lines have no other name
        <span key={at} className="flex items-center gap-1">
          <TextInput
            aria-label={`${common.label} ${at + 1}`}
            spellCheck={false}
            value={row}
            onChange={(event) => put(rows.map((one, i) => (i === at ? event.target.value : one)))}
          />
          <IconButton
            label={`Remove ${at + 1}`}
            icon={X}
            onClick={() => put(rows.filter((_, i) => i !== at))}
          />
        </span>
      ))}
      <Button
        size="sm"
        look="quiet"
        icon={Plus}
        className="self-start"
        onClick={() => put([...rows, ""])}
      >
        Add
      </Button>
      {common.hint && <p className="text-xs text-faint">{common.hint}</p>}
      {common.error && <p className="text-xs text-bad">{common.error}</p>}
    </fieldset>
  );
}

/** Anything, as JSON: for what no field fits. */
export function JsonField({
  label,
  hint,
  value,
  onChange,
  fault,
}: {
  label: string;
  hint?: string | undefined;
  value: unknown;
  onChange: (value: unknown) => void;
  fault: string | null;
}) {
  const [text, setText] = useState(() =>
    value === undefined ? "" : JSON.stringify(value, null, 2),
  );
  const [unreadable, setUnreadable] = useState(false);
  return (
    <Field label={label} hint={hint ?? "JSON"} error={unreadable ? "This is not JSON yet." : fault}>
      {(props) => (
        <CodeArea
          {...props}
          rows={4}
          value={text}
          onChange={(next) => {
            setText(next);
            try {
              onChange(next.trim() === "" ? undefined : JSON.parse(next));
              setUnreadable(false);
            } catch {
              setUnreadable(true);
            }
          }}
        />
      )}
    </Field>
  );
}
