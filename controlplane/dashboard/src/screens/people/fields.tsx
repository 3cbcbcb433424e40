// What people and accounts are called, and where mail reaches them.
import { Field, TextInput } from "../../ui/field.tsx";

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
