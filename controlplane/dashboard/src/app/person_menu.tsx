// Who is signed in, how the pages look, and the way out.
import * as Menu from "@radix-ui/react-dropdown-menu";
import { Check, ChevronsUpDown, CircleUserRound, LogOut, Monitor, Moon, Sun } from "lucide-react";
import { useLocation } from "wouter";
import { plain } from "../api/client.ts";
import { useMe } from "../api/me.ts";
import { session } from "../api/session.ts";
import { classes } from "../ui/classes.ts";
import { toastProblem } from "../ui/toasts.tsx";
import { type Scheme, setScheme, useScheme } from "./scheme.ts";

const ITEM =
  "flex h-8 items-center gap-2 rounded-sm px-2 outline-none data-highlighted:bg-hover pointer-coarse:h-11";
const SCHEMES: ReadonlyArray<readonly [Scheme, string, typeof Sun]> = [
  ["system", "As the system", Monitor],
  ["light", "Light", Sun],
  ["dark", "Dark", Moon],
];

async function signOut(): Promise<void> {
  try {
    await plain.post("/api/v1/logout");
    session.signedOut();
  } catch (error) {
    toastProblem(error);
  }
}

export function PersonMenu({ className, onGo }: { className?: string; onGo?: () => void }) {
  const me = useMe();
  const scheme = useScheme();
  const [, navigate] = useLocation();
  return (
    <Menu.Root modal={false}>
      <Menu.Trigger
        className={classes(
          "flex h-9 min-w-0 items-center gap-2 rounded-md px-2 text-left hover:bg-hover",
          className,
        )}
      >
        <span
          aria-hidden
          className="grid size-5 shrink-0 place-items-center rounded-full bg-chosen text-2xs font-semibold text-accent-ink uppercase"
        >
          {me.name.slice(0, 1)}
        </span>
        <span className="min-w-0 flex-1 truncate">{me.name}</span>
        <ChevronsUpDown aria-hidden className="size-3.5 text-faint" />
      </Menu.Trigger>
      <Menu.Portal>
        <Menu.Content
          align="start"
          side="top"
          sideOffset={4}
          collisionPadding={8}
          className="z-50 w-56 animate-rise rounded-md border border-line bg-raised p-1 shadow-raised"
        >
          <Menu.Label className="px-2 py-1.5 text-xs text-muted">
            {me.roles.length > 0 ? me.roles.join(", ") : "no role everywhere"}
          </Menu.Label>
          <Menu.Separator className="my-1 h-px bg-line" />
          <Menu.RadioGroup value={scheme} onValueChange={(one) => setScheme(one as Scheme)}>
            {SCHEMES.map(([value, label, Icon]) => (
              <Menu.RadioItem key={value} value={value} className={ITEM}>
                <Icon aria-hidden className="size-4 text-muted" />
                <span className="flex-1">{label}</span>
                <Menu.ItemIndicator>
                  <Check aria-hidden className="size-3.5" />
                </Menu.ItemIndicator>
              </Menu.RadioItem>
            ))}
          </Menu.RadioGroup>
          <Menu.Separator className="my-1 h-px bg-line" />
          <Menu.Item
            className={ITEM}
            onSelect={() => {
              navigate("/account");
              onGo?.();
            }}
          >
            <CircleUserRound aria-hidden className="size-4 text-muted" />
            Your account
          </Menu.Item>
          <Menu.Item className={ITEM} onSelect={() => void signOut()}>
            <LogOut aria-hidden className="size-4 text-muted" />
            Sign out
          </Menu.Item>
        </Menu.Content>
      </Menu.Portal>
    </Menu.Root>
  );
}
