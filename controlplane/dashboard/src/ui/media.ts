import { useSyncExternalStore } from "react";

/** Widths from which more is shown; the same as the classes `sm:`, `md:`, `lg:`. */
export const WIDTHS = { sm: 640, md: 768, lg: 1024, xl: 1280 } as const;
export type Width = keyof typeof WIDTHS;

export function useMedia(query: string): boolean {
  return useSyncExternalStore(
    (listener) => {
      const list = window.matchMedia(query);
      list.addEventListener("change", listener);
      return () => list.removeEventListener("change", listener);
    },
    () => window.matchMedia(query).matches,
  );
}

/** How wide the window is, as the widest step it reaches; undefined below all of them. */
export function useWidth(): number {
  const sm = useMedia(`(min-width: ${WIDTHS.sm}px)`);
  const md = useMedia(`(min-width: ${WIDTHS.md}px)`);
  const lg = useMedia(`(min-width: ${WIDTHS.lg}px)`);
  const xl = useMedia(`(min-width: ${WIDTHS.xl}px)`);
  return xl ? WIDTHS.xl : lg ? WIDTHS.lg : md ? WIDTHS.md : sm ? WIDTHS.sm : 0;
}
