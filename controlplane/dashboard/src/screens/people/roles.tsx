// What each role may do: the hub's own matrix, whole on a wide screen, one role at a time on a
// narrow one.
import { useQuery } from "@tanstack/react-query";
import { Check } from "lucide-react";
import { Fragment, useState } from "react";
import { useMe } from "../../api/me.ts";
import type { PermissionView, RolesView, RoleView } from "../../api/schema.gen.ts";
import { Badge } from "../../ui/badge.tsx";
import { Field, Select } from "../../ui/field.tsx";
import { useMedia, WIDTHS } from "../../ui/media.ts";
import { Failed, Waiting } from "../../ui/notes.tsx";
import { PeopleFrame } from "./frame.tsx";
import { roleMatrix } from "./queries.ts";

const REACH: Record<string, string> = {
  self: "only oneself",
  hub: "only where the role is held everywhere",
};

export function RolesPage() {
  const { data, error, isPending, refetch } = useQuery(roleMatrix);
  const wide = useMedia(`(min-width: ${WIDTHS.lg}px)`);
  return (
    <PeopleFrame>
      <div className="flex flex-col gap-4 px-4 sm:px-3">
        <p className="max-w-2xl text-muted">
          A role is held in one realm, or everywhere. Nobody gives or takes a role that is not below
          their own, and nobody permits what they may not do themselves.
        </p>
        {isPending && <Waiting lines={9} />}
        {error && <Failed error={error} onRetry={() => void refetch()} />}
        {data && (wide ? <Matrix matrix={data} /> : <OneRole matrix={data} />)}
      </div>
    </PeopleFrame>
  );
}

/** Permissions by what they are about: the part of their name before the first dot. */
function groupsOf(permissions: readonly PermissionView[]): Array<[string, PermissionView[]]> {
  const groups = new Map<string, PermissionView[]>();
  for (const one of permissions) {
    const about = one.name.split(".")[0] ?? one.name;
    groups.set(about, [...(groups.get(about) ?? []), one]);
  }
  return [...groups];
}

function useOwnRoles(): ReadonlySet<string> {
  const me = useMe();
  return new Set([...me.roles, ...Object.values(me.realmRoles).flat()]);
}

function Matrix({ matrix }: { matrix: RolesView }) {
  const own = useOwnRoles();
  const { items: roles } = matrix;
  return (
    <table className="w-full border-separate border-spacing-0 text-left">
      <caption className="sr-only">What each role permits</caption>
      <thead className="sticky top-0 z-10 bg-ground">
        <tr>
          <th scope="col" className="border-b border-line py-2 pr-3 pl-2 font-medium text-muted">
            Permission
          </th>
          {roles.map((role) => (
            <th
              key={role.name}
              scope="col"
              className="w-22 border-b border-line py-2 text-center font-medium"
            >
              {role.name}
              {own.has(role.name) && (
                <span className="block text-2xs font-normal text-muted">yours</span>
              )}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {groupsOf(matrix.permissions).map(([about, permissions]) => (
          <Fragment key={about}>
            <tr>
              <th
                scope="rowgroup"
                colSpan={roles.length + 1}
                className="pt-4 pb-1 pl-2 text-xs font-semibold text-muted"
              >
                {about}
              </th>
            </tr>
            {permissions.map((one) => (
              <PermissionRow key={one.name} permission={one} roles={roles} />
            ))}
          </Fragment>
        ))}
      </tbody>
    </table>
  );
}

function PermissionRow({
  permission,
  roles,
}: {
  permission: PermissionView;
  roles: readonly RoleView[];
}) {
  return (
    <tr className="hover:bg-hover">
      <th scope="row" className="border-b border-line py-1.5 pr-3 pl-2 font-normal">
        <Permission permission={permission} />
      </th>
      {roles.map((role) => (
        <td key={role.name} className="border-b border-line text-center">
          {role.permissions.includes(permission.name) ? (
            <>
              <Check aria-hidden className="mx-auto size-4 text-good" />
              <span className="sr-only">yes</span>
            </>
          ) : (
            <span className="sr-only">no</span>
          )}
        </td>
      ))}
    </tr>
  );
}

function Permission({ permission }: { permission: PermissionView }) {
  return (
    <span className="flex flex-wrap items-baseline gap-x-2">
      <span>{permission.does}</span>
      <code className="text-2xs text-faint">{permission.name}</code>
      {REACH[permission.reach] && <Badge>{REACH[permission.reach]}</Badge>}
    </span>
  );
}

function OneRole({ matrix }: { matrix: RolesView }) {
  const own = useOwnRoles();
  const [chosen, setChosen] = useState(
    () => matrix.items.find((role) => own.has(role.name))?.name ?? matrix.items[0]?.name ?? "",
  );
  const role = matrix.items.find((one) => one.name === chosen);
  const held = matrix.permissions.filter((one) => role?.permissions.includes(one.name));
  const rest = matrix.permissions.length - held.length;
  return (
    <div className="flex flex-col gap-3">
      <Field label="Role">
        {(props) => (
          <Select {...props} value={chosen} onChange={(event) => setChosen(event.target.value)}>
            {matrix.items.map((one) => (
              <option key={one.name} value={one.name}>
                {own.has(one.name) ? `${one.name} (yours)` : one.name}
              </option>
            ))}
          </Select>
        )}
      </Field>
      <ul aria-label={`What ${chosen} may do`}>
        {held.map((one) => (
          <li key={one.name} className="flex gap-2 border-b border-line py-2">
            <Check aria-hidden className="mt-0.5 size-4 shrink-0 text-good" />
            <Permission permission={one} />
          </li>
        ))}
      </ul>
      <p className="text-muted">
        {rest === 0 ? "That is everything there is." : `${rest} more are not permitted.`}
      </p>
    </div>
  );
}
