// Who somebody is, by a name where the hub tells it to this person, else by the id.
import { useQuery } from "@tanstack/react-query";
import { api } from "../api/client.ts";
import { useCan, useMe } from "../api/me.ts";
import { inert } from "../ui/inert.ts";
import { shorten } from "../ui/shorten.ts";

const MOST_PEOPLE = 200;

/** Names of the people this person may see, by id; asked for once, whoever is shown. */
function usePeopleNames(enabled: boolean): ReadonlyMap<string, string> | undefined {
  const may = useCan("users.read");
  return useQuery({
    queryKey: ["people", "names"],
    enabled: enabled && may,
    staleTime: 300_000,
    queryFn: ({ signal }) =>
      api
        .get("/api/v1/users", { query: { limit: MOST_PEOPLE }, signal })
        .then(({ items }) => new Map(items.map((one) => [one.id, one.name]))),
  }).data;
}

/** `id` as the API names people, keys, agents and roots; names are shown inert. */
export function Who({ id, name = null }: { id: string | null; name?: string | null }) {
  const me = useMe();
  const user = id?.startsWith("user:") ? id.slice("user:".length) : null;
  const known = name ?? (user === me.id ? me.name : null);
  const names = usePeopleNames(user !== null && known === null);
  if (id === null) return <span className="text-faint">nobody known</span>;
  const shown = known ?? (user === null ? undefined : names?.get(user));
  const rest = user === me.id ? " (you)" : "";
  if (shown) return <span title={id}>{`${inert(shown)}${rest}`}</span>;
  if (user !== null) return <span title={id}>{`somebody else (${shorten(user, 6)})`}</span>;
  const label = id.startsWith("key:") ? `machine key ${shorten(id.slice(4), 6)}` : shorten(id, 12);
  return (
    <span title={id} className="font-mono text-xs break-all">
      {label}
    </span>
  );
}
