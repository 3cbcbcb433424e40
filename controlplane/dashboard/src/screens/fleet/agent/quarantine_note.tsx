// Where an agent stands between being told to stop, or to go on, and its own word on that.
import type { AgentView } from "../../../api/schema.gen.ts";
import { inert } from "../../../ui/inert.ts";
import { Note } from "../../../ui/notes.tsx";

export function QuarantineNote({ agent }: { agent: AgentView }) {
  const told = agent.quarantine;
  const unheard = told !== null && told.answer === null && !agent.online;
  if (agent.state === "active" && told && !told.active && unheard)
    return (
      <Note>
        It was released, and hears of it when it comes back. Until then it refuses all work.
      </Note>
    );
  if (agent.state !== "quarantined") return null;
  const refused = told?.answer === "refused" ? refusalWords(told.code) : null;
  if (told?.active && refused)
    return <Note tone="bad">{`It was told to stop, and refuses to: ${refused}.`}</Note>;
  return (
    <Note tone="wait">
      {refused
        ? `It refuses all work, and has refused its last release: ${refused}.`
        : `It refuses all work${told?.reason ? `: ${inert(told.reason)}` : ""}.`}{" "}
      Only a document signed by an operator or the root lifts that, never the hub alone.
      {told?.active && unheard && " It is offline, and hears of this when it comes back."}
    </Note>
  );
}

export function ReleasedMeanwhile() {
  return <Note>Meanwhile it was released. There is nothing left to sign.</Note>;
}

/** What to say once the hub has taken a release: the agent has not yet judged it. */
export function toldWords(agent: AgentView): string {
  const name = inert(agent.name);
  return agent.online
    ? `${name} is told that it may work again`
    : `${name} hears that it may work again when it comes back`;
}

const REFUSALS: Record<string, string> = {
  old_epoch: "it knows of a later one than this hub does",
  not_authorised: "what the signer was lent does not hold there",
  forbidden_lift: "the signer was lent to through the hub's key",
  expired: "it came too late",
  future: "the clock of the signer is ahead of its own",
};

const refusalWords = (code: string | null): string =>
  REFUSALS[code ?? ""] ?? inert(code ?? "it does not say why");
