// What people and accounts are called, where mail reaches them, and as what they come.
import { Field, Select, TextInput } from "../../ui/field.tsx";

interface Props {
  hint?: string;
  value: string;
  onChange: (value: string) => void;
}

export function NameField({ value, onChange, ...field }: Props & { required?: boolean }) {
  return (
    <Field label="Name" {...field}>
      {(props) => (
        <TextInput
          {...props}
          required
          autoComplete="off"
          autoCapitalize="none"
          spellCheck={false}
          maxLength={100}
          value={value}
          onChange={(event) => onChange(event.target.value)}
        />
      )}
    </Field>
  );
}

export function EmailField({ value, onChange, ...field }: Props & { error?: string | null }) {
  return (
    <Field label="E-mail" {...field}>
      {(props) => (
        <TextInput
          {...props}
          type="email"
          autoComplete="off"
          value={value}
          onChange={(event) => onChange(event.target.value)}
        />
      )}
    </Field>
  );
}

export function RoleField({
  roles,
  value,
  onChange,
  ...field
}: Props & { roles: ReadonlyArray<{ name: string }> }) {
  return (
    <Field label="As" {...field}>
      {(props) => (
        <Select {...props} value={value} onChange={(event) => onChange(event.target.value)}>
          {roles.map((one) => (
            <option key={one.name} value={one.name}>
              {one.name}
            </option>
          ))}
        </Select>
      )}
    </Field>
  );
}
