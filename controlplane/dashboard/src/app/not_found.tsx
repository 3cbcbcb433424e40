import { Compass } from "lucide-react";
import { useLocation } from "wouter";
import { ButtonLink } from "../ui/button.tsx";
import { inert } from "../ui/inert.ts";
import { Empty } from "../ui/notes.tsx";
import { Page } from "./page.tsx";

export function NotFound() {
  const [location] = useLocation();
  return (
    <Page title="Not found">
      <Empty
        icon={Compass}
        title="Nothing is at this address"
        action={<ButtonLink to="/">Go home</ButtonLink>}
      >
        <code className="text-xs">{inert(location)}</code> leads nowhere, or to something you may
        not see.
      </Empty>
    </Page>
  );
}
