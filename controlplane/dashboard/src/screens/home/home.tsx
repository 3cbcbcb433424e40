// Home: what needs somebody now, then how the fleet does.
import { useQuery } from "@tanstack/react-query";
import { Server } from "lucide-react";
import { useState } from "react";
import { Page, Section } from "../../app/page.tsx";
import { ButtonLink } from "../../ui/button.tsx";
import { Empty, Failed } from "../../ui/notes.tsx";
import { Lately } from "./lately.tsx";
import { NeedsYou } from "./needs_you.tsx";
import { overviewOf } from "./queries.ts";
import { Spend } from "./spend.tsx";
import { Throughput } from "./throughput.tsx";

export default function Home() {
  const [hours, setHours] = useState(24);
  const overview = useQuery(overviewOf(hours));
  if (overview.isError && !overview.data)
    return (
      <Page title="Home">
        <Failed error={overview.error} onRetry={() => void overview.refetch()} />
      </Page>
    );
  const seen = overview.data;
  const fleet = seen ? Object.values(seen.agents).reduce((sum, one) => sum + one, 0) : null;
  const nobodyYet = fleet === 0 && seen?.registrations === 0;
  return (
    <Page title="Home">
      <div className="flex flex-col gap-4">
        {nobodyYet ? (
          <Section title="Begin">
            <Empty
              icon={Server}
              title="No agent is here yet"
              action={
                <ButtonLink to="/fleet?enrol" look="primary">
                  Enrol an agent
                </ButtonLink>
              }
            >
              An agent runs where the work is and dials out to this hub. Make a token, run one
              command there, and give it its first order.
            </Empty>
          </Section>
        ) : (
          <NeedsYou overview={seen} />
        )}
        <dl className="grid grid-cols-2 overflow-hidden rounded-lg border border-line bg-surface sm:grid-cols-4">
          <Figure name="Agents online" of={fleet} value={seen?.agents.online} />
          <Figure name="Offline" value={seen?.agents.offline} />
          <Figure name="Quarantined" value={seen?.agents.quarantined} />
          <Figure name="Orders under way" value={seen?.orders.open} />
        </dl>
        <div className="grid items-start gap-4 xl:grid-cols-[minmax(0,3fr)_minmax(0,2fr)]">
          <div className="flex min-w-0 flex-col gap-4">
            <Throughput overview={seen} hours={hours} onHours={setHours} />
            {seen && <Spend overview={seen} hours={hours} />}
          </div>
          <Lately />
        </div>
      </div>
    </Page>
  );
}

function Figure({
  name,
  value,
  of = null,
}: {
  name: string;
  value: number | undefined;
  of?: number | null;
}) {
  return (
    <div className="flex flex-col-reverse justify-end border-line px-4 py-3 not-first:border-l max-sm:nth-3:border-l-0 max-sm:nth-[n+3]:border-t">
      <dt className="text-xs text-muted">{name}</dt>
      <dd className="tabular text-2xl font-semibold tracking-tight">
        {value?.toLocaleString() ?? "–"}
        {of !== null && (
          <span className="text-sm font-normal text-faint"> of {of.toLocaleString()}</span>
        )}
      </dd>
    </div>
  );
}
