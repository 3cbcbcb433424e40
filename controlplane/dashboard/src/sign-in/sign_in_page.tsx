// Shown at whatever address somebody who is not signed in comes to; afterwards they are there.
import { session } from "../api/session.ts";
import { Frame } from "./frame.tsx";
import { SignInWays } from "./ways.tsx";

export function SignInPage() {
  return (
    <Frame title="Sign in">
      <SignInWays onDone={() => session.refresh()} />
      <p className="text-xs text-faint">
        No way in yet? Open an invitation, or on the hub's machine run{" "}
        <code>writ hub sign-in-link</code>.
      </p>
    </Frame>
  );
}
