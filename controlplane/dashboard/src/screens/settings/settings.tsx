// Settings: who this hub is, and where it keeps files.
import { BookOpen } from "lucide-react";
import { hubUrl } from "../../api/client.ts";
import { Page } from "../../app/page.tsx";
import { buttonClasses } from "../../ui/button.tsx";
import { AboutHub } from "./about.tsx";
import { Storage } from "./storage.tsx";

export default function Settings() {
  return (
    <Page
      title="Settings"
      about="What else there is to set stands in the hub's own file and environment, and needs its machine."
      actions={
        <a className={buttonClasses()} href={hubUrl("/docs").href}>
          <BookOpen aria-hidden className="size-3.5 shrink-0" />
          The API, to read
        </a>
      }
    >
      <div className="grid items-start gap-4 xl:grid-cols-2">
        <Storage />
        <AboutHub />
      </div>
    </Page>
  );
}
