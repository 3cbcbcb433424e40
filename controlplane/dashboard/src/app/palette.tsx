// Going anywhere by typing (Ctrl K), and the list of keys (?).
import { Search } from "lucide-react";
import { useId, useMemo, useState } from "react";
import { useLocation } from "wouter";
import { session } from "../api/session.ts";
import { classes } from "../ui/classes.ts";
import { Dialog } from "../ui/dialog.tsx";
import { type Hotkey, useAllHotkeys, useHotkeys } from "./hotkeys.ts";
import { homeOf, SCREENS } from "./screens.ts";

interface Choice {
  id: string;
  label: string;
  keys: string | null;
  run: () => void;
}

export function Palette() {
  const [open, setOpen] = useState<"palette" | "help" | null>(null);
  const [, navigate] = useLocation();
  const places = SCREENS.filter(
    ({ nav }) => nav && (nav.permission === undefined || session.can(nav.permission)),
  );
  useHotkeys([
    { keys: "mod+k", does: "Go anywhere", run: () => setOpen("palette") },
    { keys: "?", does: "Show these keys", run: () => setOpen("help") },
    ...places.flatMap((screen): Hotkey[] =>
      screen.nav?.key
        ? [
            {
              keys: `g ${screen.nav.key}`,
              does: `Go to ${screen.nav.label}`,
              run: () => navigate(homeOf(screen)),
            },
          ]
        : [],
    ),
  ]);
  return (
    <>
      {open === "palette" && <Chooser onClose={() => setOpen(null)} />}
      <KeyHelp open={open === "help"} onOpenChange={() => setOpen(null)} />
    </>
  );
}

function Chooser({ onClose }: { onClose: () => void }) {
  const [, navigate] = useLocation();
  const hotkeys = useAllHotkeys();
  const [typed, setTyped] = useState("");
  const [at, setAt] = useState(0);
  const list = useId();
  const choices = useMemo(() => {
    const all: Choice[] = [
      ...SCREENS.flatMap((screen) =>
        screen.nav && (!screen.nav.permission || session.can(screen.nav.permission))
          ? [
              {
                id: screen.name,
                label: screen.nav.label,
                keys: screen.nav.key ? `g ${screen.nav.key}` : null,
                run: () => navigate(homeOf(screen)),
              },
            ]
          : [],
      ),
      ...hotkeys.flatMap((one) =>
        one.keys === "mod+k" || one.does.startsWith("Go to ")
          ? []
          : [{ id: one.keys, label: one.does, keys: one.keys, run: one.run }],
      ),
    ];
    const words = typed.toLowerCase().split(/\s+/).filter(Boolean);
    return all.filter((one) => words.every((word) => one.label.toLowerCase().includes(word)));
  }, [typed, hotkeys, navigate]);
  const chosen = choices[Math.min(at, choices.length - 1)];
  const run = (one: Choice | undefined) => {
    if (!one) return;
    onClose();
    // After the dialog has given the focus back.
    setTimeout(one.run, 0);
  };
  return (
    <Dialog open onOpenChange={onClose} title="Go anywhere">
      <div className="flex items-center gap-2 border-b border-line pb-2">
        <Search aria-hidden className="size-4 text-muted" />
        <input
          role="combobox"
          aria-label="Where to"
          aria-expanded
          aria-controls={list}
          aria-activedescendant={chosen ? `${list}-${chosen.id}` : undefined}
          placeholder="Type a place or a command"
          className="h-8 flex-1 bg-transparent outline-none placeholder:text-faint"
          value={typed}
          onChange={(event) => {
            setTyped(event.target.value);
            setAt(0);
          }}
          onKeyDown={(event) => {
            if (event.key === "ArrowDown") setAt((one) => Math.min(one + 1, choices.length - 1));
            else if (event.key === "ArrowUp") setAt((one) => Math.max(one - 1, 0));
            else if (event.key === "Enter") run(chosen);
            else return;
            event.preventDefault();
          }}
        />
      </div>
      <div id={list} role="listbox" aria-label="Places and commands" className="py-2">
        {choices.map((one) => (
          <div
            key={one.id}
            id={`${list}-${one.id}`}
            role="option"
            aria-selected={one === chosen}
            className={classes(
              "flex h-9 items-center justify-between rounded-md px-2",
              one === chosen && "bg-chosen",
            )}
            onClick={() => run(one)}
          >
            {one.label}
            {one.keys && <Keys keys={one.keys} />}
          </div>
        ))}
        {choices.length === 0 && <p className="px-2 py-1 text-muted">Nothing is called that.</p>}
      </div>
    </Dialog>
  );
}

function KeyHelp({ open, onOpenChange }: { open: boolean; onOpenChange: () => void }) {
  const hotkeys = useAllHotkeys();
  return (
    <Dialog open={open} onOpenChange={onOpenChange} title="Keys">
      <dl className="grid grid-cols-[1fr_auto] gap-y-2 pb-2">
        {hotkeys.map((one) => (
          <div key={one.keys + one.does} className="contents">
            <dt>{one.does}</dt>
            <dd>
              <Keys keys={one.keys} />
            </dd>
          </div>
        ))}
      </dl>
    </Dialog>
  );
}

const isMac = /Mac|iPhone|iPad/.test(navigator.userAgent);

export function Keys({ keys }: { keys: string }) {
  const shown = keys.replace("mod", isMac ? "⌘" : "Ctrl").split(/[ +]/);
  return (
    <span className="inline-flex gap-1">
      {shown.map((one) => (
        <kbd
          key={one}
          className="min-w-5 rounded-sm border border-line bg-sunken px-1 text-center text-2xs text-muted"
        >
          {one.length === 1 ? one.toUpperCase() : one}
        </kbd>
      ))}
    </span>
  );
}
