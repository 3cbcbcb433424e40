// Makes text of strangers safe to look at: what a reader could not see, or what would turn the
// text around, is named instead of done. React keeps markup inert; this keeps characters inert.

const HIDDEN =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|\u{e0001}|[\u{e0020}-\u{e007f}]/gu;

/** Text with each hidden character as its code point, such as `⟨U+202E⟩`; tabs and lines stay. */
export function inert(text: string): string {
  return text.replace(HIDDEN, (one) => {
    const point = one.codePointAt(0) ?? 0;
    return `⟨U+${point.toString(16).toUpperCase().padStart(4, "0")}⟩`;
  });
}
