// In which realms an agent works.
import { Checkbox } from "../../ui/field.tsx";
import { inert } from "../../ui/inert.ts";

export function RealmsField({
  realms,
  chosen,
  onChange,
}: {
  realms: readonly string[];
  chosen: readonly string[];
  onChange: (chosen: readonly string[]) => void;
}) {
  return (
    <fieldset className="flex flex-wrap gap-x-5 gap-y-1.5">
      <legend className="mb-1 text-xs font-medium text-muted">Realms</legend>
      {realms.map((realm) => (
        <Checkbox
          key={realm}
          label={inert(realm)}
          checked={chosen.includes(realm)}
          onChange={(event) =>
            onChange(
              event.target.checked ? [...chosen, realm] : chosen.filter((one) => one !== realm),
            )
          }
        />
      ))}
    </fieldset>
  );
}
