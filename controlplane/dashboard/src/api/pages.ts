// Listings that come in pages (`?limit=&cursor=` -> `{items, nextCursor}`) as one growing list.
import { type QueryKey, useInfiniteQuery } from "@tanstack/react-query";
import { useCallback, useMemo } from "react";

export const PAGE_ITEMS = 200;
const MOST_PAGES_AGAIN = 2;

interface PageOf<T> {
  items: T[];
  nextCursor: string | null;
}

export function usePages<T>(
  key: QueryKey,
  fetchPage: (
    page: { limit: number; cursor: string | null },
    signal: AbortSignal,
  ) => Promise<PageOf<T>>,
  {
    enabled = true,
    limit = PAGE_ITEMS,
    againMs,
  }: {
    enabled?: boolean;
    limit?: number;
    /** For what no event tells of: asked for anew this often, until somebody has scrolled far. */
    againMs?: number;
  } = {},
) {
  const query = useInfiniteQuery({
    queryKey: key,
    enabled,
    initialPageParam: null as string | null,
    queryFn: ({ pageParam, signal }) => fetchPage({ limit, cursor: pageParam }, signal),
    getNextPageParam: (page) => page.nextCursor,
    refetchInterval: ({ state }) =>
      againMs !== undefined && (state.data?.pages.length ?? 0) <= MOST_PAGES_AGAIN
        ? againMs
        : false,
  });
  const { data, fetchNextPage, hasNextPage, isFetching } = query;
  const items = useMemo(() => data?.pages.flatMap((page) => page.items) ?? [], [data]);
  const more = useCallback(() => {
    if (hasNextPage && !isFetching) void fetchNextPage();
  }, [fetchNextPage, hasNextPage, isFetching]);
  return { ...query, items, more: hasNextPage ? more : undefined };
}
