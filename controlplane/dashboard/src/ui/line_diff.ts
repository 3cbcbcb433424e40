// The lines that differ between two texts (Myers, 1986), bounded: two texts that share next to
// nothing are shown as one replaced by the other.

export interface DiffLine {
  kind: "same" | "gone" | "new";
  text: string;
  /** Line numbers from 1; null on the side that lacks the line. */
  before: number | null;
  after: number | null;
}

const MOST_EDITS = 2_000;

export function diffLines(before: string, after: string): DiffLine[] {
  const a = before.split("\n");
  const b = after.split("\n");
  let head = 0;
  while (head < a.length && head < b.length && a[head] === b[head]) head += 1;
  let tail = 0;
  while (
    tail < a.length - head &&
    tail < b.length - head &&
    a[a.length - 1 - tail] === b[b.length - 1 - tail]
  )
    tail += 1;
  const middle = walk(a.slice(head, a.length - tail), b.slice(head, b.length - tail));
  const lines: DiffLine[] = [];
  let x = 0;
  let y = 0;
  const push = (kind: DiffLine["kind"], text: string) => {
    if (kind !== "new") x += 1;
    if (kind !== "gone") y += 1;
    lines.push({
      kind,
      text,
      before: kind === "new" ? null : x,
      after: kind === "gone" ? null : y,
    });
  };
  for (const text of a.slice(0, head)) push("same", text);
  for (const [kind, text] of middle) push(kind, text);
  for (const text of tail > 0 ? a.slice(-tail) : []) push("same", text);
  return lines;
}

type Step = readonly [kind: DiffLine["kind"], text: string];

function walk(a: string[], b: string[]): Step[] {
  const replaced: Step[] = [
    ...a.map((text) => ["gone", text] as const),
    ...b.map((text) => ["new", text] as const),
  ];
  if (a.length === 0 || b.length === 0) return replaced;
  const most = Math.min(a.length + b.length, MOST_EDITS);
  const trace: Array<Map<number, number>> = [];
  const furthest = new Map<number, number>([[1, 0]]);
  for (let edits = 0; edits <= most; edits += 1) {
    trace.push(new Map(furthest));
    for (let k = -edits; k <= edits; k += 2) {
      const down =
        k === -edits || (k !== edits && (furthest.get(k - 1) ?? -1) < (furthest.get(k + 1) ?? -1));
      let x = down ? (furthest.get(k + 1) ?? 0) : (furthest.get(k - 1) ?? 0) + 1;
      let y = x - k;
      while (x < a.length && y < b.length && a[x] === b[y]) {
        x += 1;
        y += 1;
      }
      furthest.set(k, x);
      if (x >= a.length && y >= b.length) return back(trace, a, b);
    }
  }
  return replaced;
}

function back(trace: Array<Map<number, number>>, a: string[], b: string[]): Step[] {
  const steps: Step[] = [];
  let x = a.length;
  let y = b.length;
  for (let edits = trace.length - 1; edits >= 0; edits -= 1) {
    const at = trace[edits] ?? new Map<number, number>();
    const k = x - y;
    const down = k === -edits || (k !== edits && (at.get(k - 1) ?? -1) < (at.get(k + 1) ?? -1));
    const fromK = down ? k + 1 : k - 1;
    const fromX = at.get(fromK) ?? 0;
    const fromY = fromX - fromK;
    while (x > fromX && y > fromY && x > 0 && y > 0) {
      steps.push(["same", a[x - 1] ?? ""]);
      x -= 1;
      y -= 1;
    }
    if (edits === 0) break;
    if (down) {
      steps.push(["new", b[y - 1] ?? ""]);
      y -= 1;
    } else {
      steps.push(["gone", a[x - 1] ?? ""]);
      x -= 1;
    }
  }
  return steps.reverse();
}
