// Where something of this hub lies. What would lead a person elsewhere is refused, whoever said it.

/** The address of `path` below `base`; throws when it leads out of it. */
export function ownAddress(path: string, base: string): URL {
  const home = new URL(".", base);
  const url = new URL(path.replace(/^\//, ""), home);
  if (url.origin !== home.origin || !url.pathname.startsWith(home.pathname))
    throw new Error("an address outside of this hub");
  return url;
}
