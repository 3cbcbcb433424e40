// The page of one thing before it is there: still on its way, gone, or out of reach.
import { asProblem } from "../api/problem.ts";
import { Failed, Waiting } from "../ui/notes.tsx";
import { Page, type PageProps } from "./page.tsx";

export function UnloadedPage({
  title,
  back,
  query,
  lines = 8,
}: Required<Pick<PageProps, "title" | "back">> & {
  query: { isPending: boolean; error: unknown; refetch: () => unknown };
  /** How much room its content will take. */
  lines?: number;
}) {
  return (
    <Page title={title} back={back}>
      {query.isPending ? (
        <Waiting lines={lines} />
      ) : (
        <Failed
          error={query.error}
          {...(asProblem(query.error).status === 404
            ? {}
            : { onRetry: () => void query.refetch() })}
        />
      )}
    </Page>
  );
}
