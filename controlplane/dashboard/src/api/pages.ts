// Listings that come in pages (`?limit=&cursor=` -> `{items, nextCursor}`) as one growing list.
import { type QueryKey, useInfiniteQuery } from "@tanstack/react-query";
import { useCallback, useMemo } from "react";

export const PAGE_ITEMS = 200;

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
  { enabled = true, limit = PAGE_ITEMS }: { enabled?: boolean; limit?: number } = {},
) {
  const query = useInfiniteQuery({
    queryKey: key,
    enabled,
    initialPageParam: null as string | null,
    queryFn: ({ pageParam, signal }) => fetchPage({ limit, cursor: pageParam }, signal),
    getNextPageParam: (page) => page.nextCursor,
  });
  const { data, fetchNextPage, hasNextPage, isFetching } = query;
  const items = useMemo(() => data?.pages.flatMap((page) => page.items) ?? [], [data]);
  const more = useCallback(() => {
    if (hasNextPage && !isFetching) void fetchNextPage();
  }, [fetchNextPage, hasNextPage, isFetching]);
  return { ...query, items, more: hasNextPage ? more : undefined };
}
