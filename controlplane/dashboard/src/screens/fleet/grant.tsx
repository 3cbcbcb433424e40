// What a new agent may do: actions picked from those it offers, a policy as JSON, or nothing yet.
import { useState } from "react";
import type { ApproveBody } from "../../api/schema.gen.ts";
import { Checkbox, CodeField } from "../../ui/field.tsx";
import { inert } from "../../ui/inert.ts";
import { Note } from "../../ui/notes.tsx";

export type Grant =
  | { kind: "actions"; actions: readonly string[] }
  | { kind: "policy"; policy: NonNullable<ApproveBody["policy"]> }
  | { kind: "unreadable" };

/** The part of the approval that carries the grant; without any, everything is denied. */
export function grantBody(grant: Grant): Pick<ApproveBody, "capabilities" | "policy"> {
  if (grant.kind === "policy") return { policy: grant.policy };
  if (grant.kind === "actions" && grant.actions.length > 0)
    return { capabilities: [...grant.actions] };
  return {};
}

const EXAMPLE = `{
  "rules": [
    { "id": "files", "effect": "allow", "actions": ["files.*"] },
    { "id": "shell-asks", "effect": "allow", "actions": ["shell.exec"],
      "approval": { "people": 1, "from": ["*"], "withinSeconds": 600 } }
  ],
  "limits": { "ordersPerHour": 1000 }
}`;

export function GrantField({
  offered,
  grant,
  onChange,
}: {
  /** Names of the actions the agent has. */
  offered: readonly string[];
  grant: Grant;
  onChange: (grant: Grant) => void;
}) {
  const [byHand, setByHand] = useState(false);
  const [text, setText] = useState(EXAMPLE);
  const write = (next: string) => {
    setText(next);
    onChange(readPolicy(next));
  };
  return (
    <div className="flex flex-col gap-3">
      {byHand ? (
        <CodeField
          label="Policy"
          hint="Rules and limits in JSON; the hub checks them before anything is enrolled."
          error={grant.kind === "unreadable" ? "This is not a policy yet." : null}
          rows={9}
          value={text}
          onChange={write}
        />
      ) : (
        <Actions
          offered={offered}
          chosen={grant.kind === "actions" ? grant.actions : []}
          onChange={(actions) => onChange({ kind: "actions", actions })}
        />
      )}
      <Checkbox
        label="Write a policy instead"
        hint="With conditions, limits, or people to ask."
        checked={byHand}
        onChange={(event) => {
          setByHand(event.target.checked);
          onChange(event.target.checked ? readPolicy(text) : { kind: "actions", actions: [] });
        }}
      />
    </div>
  );
}

function Actions({
  offered,
  chosen,
  onChange,
}: {
  offered: readonly string[];
  chosen: readonly string[];
  onChange: (chosen: readonly string[]) => void;
}) {
  const spaces = [...new Set(offered.map((one) => one.split(".")[0] ?? one))].sort();
  const toggle = (name: string, on: boolean) =>
    onChange(on ? [...chosen, name] : chosen.filter((one) => one !== name));
  return (
    <fieldset className="flex flex-col gap-2">
      <legend className="mb-1 text-xs font-medium text-muted">
        Allowed without asking anybody
      </legend>
      <div className="grid grid-cols-[repeat(auto-fill,minmax(9rem,1fr))] gap-x-4 gap-y-1.5">
        {spaces.flatMap((space) => {
          const inside = offered.filter((one) => one.startsWith(`${space}.`)).sort();
          const all = `${space}.*`;
          const whole = chosen.includes(all);
          const names = inside.length > 1 ? [all, ...inside] : [space, ...inside];
          return names
            .filter((one) => one === all || offered.includes(one))
            .map((one) => (
              <Checkbox
                key={one}
                label={<code className="text-xs">{inert(one)}</code>}
                checked={chosen.includes(one) || (whole && one !== all)}
                disabled={whole && one !== all}
                onChange={(event) => toggle(one, event.target.checked)}
              />
            ));
        })}
      </div>
      {chosen.length === 0 && (
        <Note>Nothing: it can come online, and refuses every order until it has a policy.</Note>
      )}
      {chosen.some((one) => one.startsWith("shell")) && (
        <Note tone="wait">
          With <code className="text-xs">shell</code> it runs any program in its workspace.
        </Note>
      )}
    </fieldset>
  );
}

function readPolicy(text: string): Grant {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null && "rules" in value)
      return { kind: "policy", policy: value as NonNullable<ApproveBody["policy"]> };
  } catch {
    // Said at the field.
  }
  return { kind: "unreadable" };
}
