// Roles to tick: those the person may give, and those held already, which stay as they are.
import type { RoleView } from "../../api/schema.gen.ts";
import { Checkbox } from "../../ui/field.tsx";

export function RoleBoxes({
  legend,
  roles,
  held,
  chosen,
  onChange,
}: {
  legend: string;
  /** Those that may be given and taken. */
  roles: readonly RoleView[];
  held: readonly string[];
  chosen: readonly string[];
  onChange: (chosen: readonly string[]) => void;
}) {
  const free = roles.map((role) => role.name);
  const fixed = held.filter((role) => !free.includes(role));
  const all = [...fixed, ...free];
  return (
    <fieldset className="flex flex-wrap gap-x-5 gap-y-1.5">
      <legend className="mb-1 text-xs font-medium text-muted">{legend}</legend>
      {all.map((role) => (
        <Checkbox
          key={role}
          label={role}
          checked={chosen.includes(role)}
          disabled={fixed.includes(role)}
          onChange={(event) =>
            onChange(
              event.target.checked ? [...chosen, role] : chosen.filter((one) => one !== role),
            )
          }
        />
      ))}
      {all.length === 0 && <p className="text-faint">None that you may give.</p>}
    </fieldset>
  );
}
