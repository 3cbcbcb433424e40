// What a key is narrowed to: everything, whole subjects such as `agents`, or single permissions.
import type { PermissionView } from "../../api/schema.gen.ts";
import { Checkbox, Field, Select } from "../../ui/field.tsx";

export function ScopeBoxes({
  permissions,
  chosen: given,
  onChange,
  all,
}: {
  /** Those that the maker holds. */
  permissions: readonly PermissionView[];
  /** Null for everything; an empty list is a choice that has only begun. */
  chosen: readonly string[] | null;
  onChange: (chosen: readonly string[] | null) => void;
  /** What a key without scopes may do, in words. */
  all: string;
}) {
  const chosen = given ?? [];
  const families = [...new Set(permissions.map((one) => one.name.split(".")[0] ?? one.name))];
  const toggle = (scope: string, on: boolean) =>
    onChange(on ? [...chosen, scope] : chosen.filter((one) => one !== scope));
  return (
    <div className="flex flex-col gap-3">
      <Field label="It may do" hint="Never more than its owner, whatever is chosen.">
        {(props) => (
          <Select
            {...props}
            value={given === null ? "all" : "some"}
            onChange={(event) => onChange(event.target.value === "some" ? [] : null)}
          >
            <option value="all">{all}</option>
            <option value="some">Only what is ticked</option>
          </Select>
        )}
      </Field>
      {given !== null && (
        <section
          aria-label="Permissions"
          tabIndex={0}
          className="max-h-72 overflow-y-auto rounded-md border border-line"
        >
          {families.map((family) => (
            <fieldset key={family} className="border-b border-line px-3 py-2 last:border-0">
              <legend className="sr-only">{family}</legend>
              <Checkbox
                label={<b className="font-semibold">{family}</b>}
                hint="All of it, also what comes later"
                checked={chosen.includes(family)}
                onChange={(event) =>
                  onChange(
                    event.target.checked
                      ? [...chosen.filter((one) => !one.startsWith(`${family}.`)), family]
                      : chosen.filter((one) => one !== family),
                  )
                }
              />
              <div className="mt-1.5 grid gap-x-4 gap-y-1.5 pl-6 sm:grid-cols-2">
                {permissions
                  .filter((one) => one.name.startsWith(`${family}.`))
                  .map((one) => (
                    <Checkbox
                      key={one.name}
                      label={one.does}
                      checked={chosen.includes(one.name) || chosen.includes(family)}
                      disabled={chosen.includes(family)}
                      onChange={(event) => toggle(one.name, event.target.checked)}
                    />
                  ))}
              </div>
            </fieldset>
          ))}
        </section>
      )}
    </div>
  );
}
