// Signing in again above whatever somebody was doing: nothing they typed is lost, and the request
// that needed it goes on afterwards.
import { useSession } from "../api/me.ts";
import { session } from "../api/session.ts";
import { Dialog } from "../ui/dialog.tsx";
import { SignInWays } from "./ways.tsx";

const WORDS = {
  expired: {
    title: "Your session has ended",
    says: "Sign in again to go on where you were.",
  },
  "step-up": {
    title: "Is it you?",
    says: "This needs somebody who has just signed in.",
  },
} as const;

export function AskAgain() {
  const { ask, me } = useSession();
  if (ask === null || me == null) return null;
  return (
    <Dialog
      open
      onOpenChange={() => void session.answer(false)}
      title={WORDS[ask].title}
      description={`${WORDS[ask].says} You are ${me.name}.`}
      dismissible={ask === "step-up"}
    >
      <div className="pb-3">
        <SignInWays name={me.name} withProviders={false} onDone={() => session.answer(true)} />
      </div>
    </Dialog>
  );
}
