// A few options of which one holds, as buttons in a row.
import { classes } from "./classes.ts";

export function Choice<Value extends string | number | boolean | null>({
  label,
  options,
  value,
  onChoose,
}: {
  label: string;
  options: ReadonlyArray<readonly [Value, string]>;
  value: Value;
  onChoose: (value: Value) => void;
}) {
  return (
    <fieldset className="flex flex-wrap gap-0.5">
      <legend className="sr-only">{label}</legend>
      {options.map(([one, word]) => (
        <button
          key={word}
          type="button"
          aria-pressed={value === one}
          onClick={() => onChoose(one)}
          className={classes(
            "h-7 rounded-md px-2 text-xs pointer-coarse:h-9 pointer-coarse:px-3",
            value === one ? "bg-chosen font-medium" : "text-muted hover:bg-hover",
          )}
        >
          {word}
        </button>
      ))}
    </fieldset>
  );
}
