// What is around every screen: the navigation, the state of the connection, who is signed in.
import { Menu as MenuIcon, Search } from "lucide-react";
import { Suspense, useEffect, useRef, useState } from "react";
import { Link, Route, Switch, useLocation } from "wouter";
import { session } from "../api/session.ts";
import { classes } from "../ui/classes.ts";
import { Drawer } from "../ui/dialog.tsx";
import { useMedia, WIDTHS } from "../ui/media.ts";
import { Waiting } from "../ui/notes.tsx";
import { Bell } from "./bell.tsx";
import { ConnectionBanner, ConnectionWord } from "./connection.tsx";
import { Crash } from "./crash.tsx";
import { Logo } from "./logo.tsx";
import { NotFound } from "./not_found.tsx";
import { Keys, Palette } from "./palette.tsx";
import { PersonMenu } from "./person_menu.tsx";
import { RootAlarm } from "./root_alarm.tsx";
import { homeOf, type KnownScreen, SCREENS } from "./screens.ts";

const TITLES = { work: null, trust: "Trust", people: "Organisation" } as const;

export function Shell() {
  const wide = useMedia(`(min-width: ${WIDTHS.md}px)`);
  const [location] = useLocation();
  const main = useRef<HTMLElement>(null);
  const first = useRef(true);
  const screen = location.split("/")[1] ?? "";
  // biome-ignore lint/correctness/useExhaustiveDependencies: each time the place changes
  useEffect(() => {
    // A new page would begin at its top and be read from its title; so does a new screen.
    if (!first.current) {
      window.scrollTo(0, 0);
      main.current?.querySelector<HTMLElement>("h1")?.focus({ preventScroll: true });
    }
    first.current = false;
  }, [location]);
  return (
    <div className="min-h-dvh md:grid md:grid-cols-[13.5rem_minmax(0,1fr)] max-md:[--bar-height:3rem] md:[--bar-height:0px]">
      <button
        type="button"
        onClick={() => main.current?.focus()}
        className="fixed top-2 left-2 z-60 -translate-y-20 rounded-md bg-accent px-3 py-2 text-on-accent focus:translate-y-0"
      >
        Skip to content
      </button>
      {wide ? <SideBar /> : <TopBar />}
      <div className="flex min-w-0 flex-col max-md:pb-[calc(3.5rem+env(safe-area-inset-bottom))]">
        <ConnectionBanner />
        <RootAlarm />
        <main ref={main} id="main" tabIndex={-1} className="min-w-0 flex-1 outline-none">
          <Crash key={screen}>
            <Suspense fallback={<Waiting lines={6} />}>
              <Switch>
                {SCREENS.map((one) => (
                  <Route key={one.name} path={one.path} component={one.Component} />
                ))}
                <Route component={NotFound} />
              </Switch>
            </Suspense>
          </Crash>
        </main>
      </div>
      {!wide && <BottomBar />}
      <Palette />
    </div>
  );
}

function places(): KnownScreen[] {
  return SCREENS.filter(
    ({ nav }) => nav && (nav.permission === undefined || session.can(nav.permission)),
  );
}

function SideBar() {
  return (
    <aside className="sticky top-0 flex h-dvh flex-col border-r border-line">
      <div className="flex h-14 items-center justify-between gap-2 pr-3 pl-4">
        <Link to="/" className="flex items-center gap-2 font-semibold" aria-label="Writ, home">
          <Logo className="size-6" />
          <span className="text-lg tracking-tight">Writ</span>
        </Link>
        <Bell />
      </div>
      <PaletteHint />
      <Navigation />
      <div className="mt-auto flex flex-col gap-1 border-t border-line p-2">
        <span className="px-2 pt-1">
          <ConnectionWord />
        </span>
        <PersonMenu />
      </div>
    </aside>
  );
}

function PaletteHint() {
  return (
    <button
      type="button"
      className="mx-3 mb-2 flex h-8 items-center gap-2 rounded-md border border-line bg-surface px-2 text-muted hover:bg-hover"
      onClick={openPalette}
    >
      <Search aria-hidden className="size-3.5" />
      <span className="flex-1 text-left">Go to…</span>
      <Keys keys="mod+k" />
    </button>
  );
}

function openPalette(): void {
  document.dispatchEvent(new KeyboardEvent("keydown", { key: "k", ctrlKey: true, bubbles: true }));
}

function Navigation({ onGo }: { onGo?: () => void }) {
  const shown = places();
  return (
    <nav aria-label="Main" className="flex flex-col gap-4 overflow-y-auto p-2">
      {(["work", "trust", "people"] as const).map((group) => {
        const inGroup = shown.filter(({ nav }) => nav?.group === group);
        if (inGroup.length === 0) return null;
        return (
          <ul key={group} className="flex flex-col gap-0.5">
            {TITLES[group] && (
              <li className="px-2 pb-1 text-xs text-faint" aria-hidden>
                {TITLES[group]}
              </li>
            )}
            {inGroup.map((screen) => (
              <li key={screen.name}>
                <Entry screen={screen} onGo={onGo} />
              </li>
            ))}
          </ul>
        );
      })}
    </nav>
  );
}

function useIsHere(screen: KnownScreen): boolean {
  const [location] = useLocation();
  const home = homeOf(screen);
  return home === "/" ? location === "/" : location === home || location.startsWith(`${home}/`);
}

const noCount = () => 0;

function Entry({ screen, onGo }: { screen: KnownScreen; onGo: (() => void) | undefined }) {
  const here = useIsHere(screen);
  const count = (screen.nav?.useCount ?? noCount)();
  const Icon = screen.nav?.icon;
  return (
    <Link
      to={homeOf(screen)}
      onClick={onGo}
      aria-current={here ? "page" : undefined}
      className={classes(
        "flex h-8 items-center gap-2.5 rounded-md px-2 pointer-coarse:h-11",
        here ? "bg-chosen font-medium text-ink" : "text-muted hover:bg-hover hover:text-ink",
      )}
    >
      {Icon && <Icon aria-hidden className={classes("size-4", here && "text-accent-ink")} />}
      <span className="flex-1">{screen.nav?.label}</span>
      {count > 0 && <Count count={count} />}
    </Link>
  );
}

function Count({ count }: { count: number }) {
  return (
    <span className="tabular rounded-full bg-wait-ground px-1.5 text-2xs font-semibold text-wait">
      {count > 99 ? "99+" : count}
      <span className="sr-only"> waiting</span>
    </span>
  );
}

function TopBar() {
  return (
    <header className="sticky top-0 z-20 flex h-12 items-center justify-between border-b border-line bg-ground px-3">
      <Link to="/" className="flex items-center gap-2 font-semibold" aria-label="Writ, home">
        <Logo className="size-6" />
        Writ
      </Link>
      <span className="flex items-center gap-3">
        <ConnectionWord />
        <Bell />
      </span>
    </header>
  );
}

function BottomBar() {
  const [open, setOpen] = useState(false);
  const shown = places().filter(({ nav }) => nav?.onPhone);
  return (
    <nav
      aria-label="Main"
      className="fixed inset-x-0 bottom-0 z-20 flex border-t border-line bg-ground pb-[env(safe-area-inset-bottom)]"
    >
      {shown.slice(0, 4).map((screen) => (
        <BarEntry key={screen.name} screen={screen} />
      ))}
      <button
        type="button"
        onClick={() => setOpen(true)}
        className="flex h-14 min-w-0 flex-1 flex-col items-center justify-center gap-0.5 text-2xs text-muted"
      >
        <MenuIcon aria-hidden className="size-5" />
        More
      </button>
      <Drawer
        open={open}
        onOpenChange={setOpen}
        title="Writ"
        footer={<PersonMenu className="mr-auto" onGo={() => setOpen(false)} />}
      >
        <Navigation onGo={() => setOpen(false)} />
      </Drawer>
    </nav>
  );
}

function BarEntry({ screen }: { screen: KnownScreen }) {
  const here = useIsHere(screen);
  const count = (screen.nav?.useCount ?? noCount)();
  const Icon = screen.nav?.icon;
  return (
    <Link
      to={homeOf(screen)}
      aria-current={here ? "page" : undefined}
      className={classes(
        "relative flex h-14 min-w-0 flex-1 flex-col items-center justify-center gap-0.5 text-2xs",
        here ? "font-semibold text-accent-ink" : "text-muted",
      )}
    >
      {Icon && <Icon aria-hidden className="size-5" />}
      {screen.nav?.label}
      {count > 0 && (
        <span className="absolute top-1 left-1/2 ml-1.5">
          <Count count={count} />
        </span>
      )}
    </Link>
  );
}
