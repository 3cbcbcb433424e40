// Those who ask to join, above the list: their fingerprint is what somebody has to compare.
import { useQuery } from "@tanstack/react-query";
import { UserRoundPlus } from "lucide-react";
import { Link } from "wouter";
import { useCan } from "../../api/me.ts";
import { inert } from "../../ui/inert.ts";
import { Ago } from "../../ui/time.tsx";
import { waitingRequests } from "./queries.ts";

export function Requests() {
  const may = useCan("enrolment.read");
  const waiting = useQuery({ ...waitingRequests, enabled: may }).data?.items ?? [];
  if (waiting.length === 0) return null;
  return (
    <section
      aria-label="Requests to join"
      className="mx-3 mb-4 rounded-lg border border-line bg-surface"
    >
      <h2 className="flex h-10 items-center border-b border-line px-4 font-semibold">
        {waiting.length === 1 ? "One agent asks to join" : `${waiting.length} agents ask to join`}
      </h2>
      <ul className="max-h-72 overflow-y-auto">
        {waiting.map((one) => (
          <li key={one.id} className="border-line not-first:border-t">
            <Link
              to={`/fleet/requests/${one.id}`}
              className="flex min-h-11 items-center gap-x-4 px-4 py-1.5 -outline-offset-2 hover:bg-hover"
            >
              <UserRoundPlus aria-hidden className="size-4 shrink-0 text-wait" />
              <span className="min-w-0 flex-1 sm:flex sm:items-center sm:gap-4">
                <span className="block min-w-0 flex-1 truncate font-medium">{inert(one.name)}</span>
                <code className="block text-xs">{one.fingerprint}</code>
              </span>
              <span className="hidden w-40 truncate text-muted md:block">{one.address}</span>
              <span className="w-20 text-right text-xs text-muted">
                <Ago at={one.requestedAt} />
              </span>
            </Link>
          </li>
        ))}
      </ul>
    </section>
  );
}
