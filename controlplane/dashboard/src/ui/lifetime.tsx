// How long something counts, chosen from a few lengths.
import { Field, Select } from "./field.tsx";

export type Lifetimes = ReadonlyArray<readonly [seconds: number, word: string]>;

export function LifetimeField({
  label,
  lifetimes,
  seconds,
  onChange,
}: {
  label: string;
  lifetimes: Lifetimes;
  seconds: number;
  onChange: (seconds: number) => void;
}) {
  return (
    <Field label={label}>
      {(props) => (
        <Select
          {...props}
          value={seconds}
          onChange={(event) => onChange(Number(event.target.value))}
        >
          {lifetimes.map(([one, word]) => (
            <option key={one} value={one}>
              {word}
            </option>
          ))}
        </Select>
      )}
    </Field>
  );
}
