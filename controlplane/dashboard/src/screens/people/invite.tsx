// Inviting somebody into a role: the link is shown once, or sent by mail as well.
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { api } from "../../api/client.ts";
import { useMe } from "../../api/me.ts";
import { allRealms } from "../../people/realms.ts";
import { Field, Select } from "../../ui/field.tsx";
import { FormDialog } from "../../ui/form_dialog.tsx";
import { inert } from "../../ui/inert.ts";
import { LifetimeField, type Lifetimes } from "../../ui/lifetime.tsx";
import { Note } from "../../ui/notes.tsx";
import { ShownOnce } from "../../ui/shown_once.tsx";
import { Countdown } from "../../ui/time.tsx";
import { EmailField, RoleField } from "./fields.tsx";
import { EVERYWHERE, useRoleMatrix } from "./queries.ts";
import { mayIn, rolesToGive } from "./standing.ts";

const LIFETIMES: Lifetimes = [
  [86_400, "1 day"],
  [604_800, "1 week"],
  [2_592_000, "30 days"],
];

export function InviteDialog({ realm, onClose }: { realm?: string; onClose: () => void }) {
  const client = useQueryClient();
  const me = useMe();
  const matrix = useRoleMatrix();
  const realms = useQuery(allRealms).data?.items.map((one) => one.id) ?? [];
  const places = realms.filter((one) => mayIn(matrix, me, "invitations.write", one));
  const [chosen, setChosen] = useState(realm ?? "");
  const mayEverywhere = mayIn(matrix, me, "invitations.write", null);
  // The first place there is, until somebody has chosen another.
  const place = chosen || places[0] || (mayEverywhere ? EVERYWHERE : "");
  const roles = rolesToGive(matrix, me, place === EVERYWHERE ? null : place);
  const [wanted, setWanted] = useState("member");
  const role = roles.some((one) => one.name === wanted) ? wanted : (roles.at(-1)?.name ?? "");
  const [email, setEmail] = useState("");
  const [seconds, setSeconds] = useState(604_800);
  const invite = useMutation({
    mutationFn: () =>
      api.post("/api/v1/invitations", {
        body: {
          role,
          ...(place === EVERYWHERE ? {} : { realm: place }),
          ...(email.trim() ? { email: email.trim() } : {}),
          expiresInSeconds: seconds,
        },
      }),
    onSuccess: () => client.invalidateQueries({ queryKey: ["people", "invitations"] }),
  });
  if (invite.data?.link)
    return (
      <ShownOnce
        title={`An invitation as ${invite.data.role}`}
        label="link"
        secret={invite.data.link}
        onClose={onClose}
      >
        {invite.data.emailed === true && <p>It was sent to {inert(invite.data.email ?? "")}.</p>}
        {invite.data.emailed === false && (
          <p>The mail could not be sent: hand on the link yourself.</p>
        )}
        <p>
          Whoever opens the link comes in. It works once, and for{" "}
          <Countdown to={invite.data.expiresAt} />; it is shown only now.
        </p>
      </ShownOnce>
    );
  return (
    <FormDialog
      title="Invite somebody"
      description="You get a link to hand on. They choose their own name and how they sign in."
      verb="Make the link"
      sending={invite}
      ready={role !== ""}
      onClose={onClose}
    >
      <Field label="Into">
        {(props) => (
          <Select {...props} value={place} onChange={(event) => setChosen(event.target.value)}>
            {places.map((one) => (
              <option key={one} value={one}>
                {`realm ${inert(one)}`}
              </option>
            ))}
            {mayEverywhere && <option value={EVERYWHERE}>every realm</option>}
          </Select>
        )}
      </Field>
      <RoleField
        hint="What each role may do stands under Roles."
        roles={roles}
        value={role}
        onChange={setWanted}
      />
      <EmailField
        hint="Optional: the hub sends the link there, if it sends mail."
        value={email}
        onChange={setEmail}
      />
      <LifetimeField
        label="It counts for"
        lifetimes={LIFETIMES}
        seconds={seconds}
        onChange={setSeconds}
      />
      {role === "owner" && (
        <Note tone="wait">An owner may do everything, also to you and to what you own.</Note>
      )}
    </FormDialog>
  );
}
