// Who somebody is, by a name where the hub tells it to this person, else by the id.
import { useQuery } from "@tanstack/react-query";
import { api } from "../api/client.ts";
import { useMe } from "../api/me.ts";
import { shorten } from "../ui/copy.tsx";
import { inert } from "../ui/inert.ts";

/** `id` as the API names people, keys, agents and roots; names are shown inert. */
export function Who({ id, name = null }: { id: string | null; name?: string | null }) {
  const me = useMe();
  const user = id?.startsWith("user:") ? id.slice("user:".length) : null;
  const known = name ?? (user === me.id ? me.name : null);
  const found = useQuery({
    queryKey: ["people", "name", user],
    enabled: user !== null && known === null,
    staleTime: 300_000,
    retry: false,
    queryFn: ({ signal }) =>
      api.get("/api/v1/users/{id}", { path: { id: user ?? "" }, signal }).then((one) => one.name),
  });
  if (id === null) return <span className="text-faint">nobody known</span>;
  const shown = known ?? found.data;
  const rest = user === me.id ? " (you)" : "";
  if (shown) return <span title={id}>{`${inert(shown)}${rest}`}</span>;
  const label = id.startsWith("key:") ? `machine key ${shorten(id.slice(4))}` : shorten(id, 12);
  return (
    <span title={id} className="font-mono text-xs">
      {label}
    </span>
  );
}
