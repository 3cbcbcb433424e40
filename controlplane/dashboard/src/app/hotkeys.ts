// Keys: one at a time or after `g`, never while somebody types. What is registered is what the
// help lists.
import { useEffect, useRef, useSyncExternalStore } from "react";

export interface Hotkey {
  /** Such as `j`, `g f`, `mod+k` (Ctrl, on a Mac Command). */
  keys: string;
  does: string;
  run: () => void;
}

const LEADER_MS = 1_200;
const sets = new Map<symbol, readonly Hotkey[]>();
const listeners = new Set<() => void>();
let all: readonly Hotkey[] = [];
let leader: { key: string; at: number } | null = null;

function changed(): void {
  all = [...sets.values()].flat();
  for (const listener of listeners) listener();
}

const subscribe = (listener: () => void) => {
  listeners.add(listener);
  return () => {
    listeners.delete(listener);
  };
};

/** Keys that work while the component is shown. */
export function useHotkeys(hotkeys: readonly Hotkey[]): void {
  const newest = useRef(hotkeys);
  useEffect(() => {
    newest.current = hotkeys;
  });
  const signature = hotkeys.map((one) => `${one.keys}\t${one.does}`).join("\n");
  useEffect(() => {
    const name = Symbol("hotkeys");
    const lines = signature === "" ? [] : signature.split("\n");
    sets.set(
      name,
      lines.map((line, at) => {
        const [keys = "", does = ""] = line.split("\t");
        return { keys, does, run: () => newest.current[at]?.run() };
      }),
    );
    changed();
    return () => {
      sets.delete(name);
      changed();
    };
  }, [signature]);
}

/** Every key that works now. */
export function useAllHotkeys(): readonly Hotkey[] {
  return useSyncExternalStore(subscribe, () => all);
}

function isTyping(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  return target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName);
}

/** Listen to the keyboard, once for the whole page. */
export function listenToKeys(): () => void {
  const onKey = (event: KeyboardEvent) => {
    const mod = event.metaKey || event.ctrlKey;
    if (event.altKey || event.isComposing || (isTyping(event.target) && !mod)) return;
    // What lies under a dialog does not hear keys meant for it.
    if (!mod && document.querySelector("[role=dialog]")) return;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const led = leader && Date.now() - leader.at < LEADER_MS ? `${leader.key} ${key}` : null;
    leader = null;
    const wanted = mod ? `mod+${key}` : key;
    const hit =
      (led === null ? undefined : all.findLast((one) => one.keys === led)) ??
      all.findLast((one) => one.keys === wanted);
    if (hit) {
      event.preventDefault();
      hit.run();
    } else if (!mod && all.some((one) => one.keys.startsWith(`${key} `))) {
      leader = { key, at: Date.now() };
    }
  };
  document.addEventListener("keydown", onKey);
  return () => document.removeEventListener("keydown", onKey);
}
