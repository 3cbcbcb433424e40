// What a browser or program calls itself, in the few words that people know it by.

const BROWSERS = /(Firefox|Edg|OPR|Chrome|Safari)\/\d+/;
const SYSTEMS = /iPhone|iPad|Android|Windows|Mac OS|CrOS|Linux/;
const WORDS: Record<string, string> = { Edg: "Edge", OPR: "Opera", "Mac OS": "Mac" };

/** A user agent in words, such as `Firefox on Linux`; else how it begins. */
export function browserOf(agent: string): string {
  const browser = BROWSERS.exec(agent)?.[1];
  const system = SYSTEMS.exec(agent)?.[0];
  if (browser && system) return `${WORDS[browser] ?? browser} on ${WORDS[system] ?? system}`;
  return agent.split(/[\s/(]/)[0]?.slice(0, 40) || "something unnamed";
}

/** The same of this browser: what a passkey made in it is called. */
export function thisBrowser(): string {
  return browserOf(navigator.userAgent);
}
