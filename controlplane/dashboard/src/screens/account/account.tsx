// One's own account: where one is signed in, how one signs in, what one signs with.
import { Pencil } from "lucide-react";
import { useCan, useMe } from "../../api/me.ts";
import { Fact, Facts, Page, Section } from "../../app/page.tsx";
import { ButtonLink } from "../../ui/button.tsx";
import { CopyField } from "../../ui/copy.tsx";
import { inert } from "../../ui/inert.ts";
import { Passkeys } from "./passkeys.tsx";
import { Password } from "./password.tsx";
import { Sessions } from "./sessions.tsx";
import { SigningKeys } from "./signing_keys.tsx";

export default function Account() {
  const me = useMe();
  const mayOpen = useCan("users.read");
  return (
    <Page
      title="Your account"
      actions={
        mayOpen && (
          <ButtonLink to={`/people/users/${me.id}`} icon={Pencil}>
            Name and e-mail
          </ButtonLink>
        )
      }
    >
      <div className="grid items-start gap-4 xl:grid-cols-2">
        <div className="flex min-w-0 flex-col gap-4">
          <Section title="You">
            <Facts>
              <Fact name="Name">{inert(me.name)}</Fact>
              <Fact name="Everywhere">
                {me.roles.join(", ") || <span className="text-faint">no role</span>}
              </Fact>
              {Object.entries(me.realmRoles).map(([realm, roles]) => (
                <Fact key={realm} name={inert(realm)}>
                  {roles.join(", ")}
                </Fact>
              ))}
              <Fact name="Named in the record">
                <CopyField value={me.subject} label="your id" short />
              </Fact>
            </Facts>
          </Section>
          <Sessions />
        </div>
        <div className="flex min-w-0 flex-col gap-4">
          <Passkeys />
          <Password />
          <SigningKeys />
        </div>
      </div>
    </Page>
  );
}
