import assert from "node:assert/strict";
import { test } from "node:test";
import { barsOf, failuresOf, roundUp, spendOf, sumOf } from "./bars.ts";

const ORDERS = {
  open: 1,
  since: "2026-01-01T00:00:00.000Z",
  stretchSeconds: 1800,
  stretches: [
    {
      startsAt: "2026-01-01T00:30:00.000Z",
      states: { succeeded: 3, timed_out: 1 },
      tokens: 120,
      cents: 0.5,
    },
    { startsAt: "2026-01-01T01:30:00.000Z", states: { open: 1, refused: 2 }, tokens: 0, cents: 0 },
  ],
};

test("every stretch has its bar, empty ones too", () => {
  const bars = barsOf(ORDERS, Date.parse("2026-01-01T02:00:00Z"));
  assert.deepEqual(
    bars.map((bar) => bar.total),
    [0, 4, 0, 3],
  );
  assert.deepEqual(bars[1]?.counts, { succeeded: 3, open: 0, refused: 0, failed: 1 });
});

test("what orders have used stands in the stretch they were given in", () => {
  const bars = spendOf(ORDERS, Date.parse("2026-01-01T02:00:00Z"), "cents");
  assert.deepEqual(
    bars.map((bar) => bar.total),
    [0, 0.5, 0, 0],
  );
  assert.deepEqual(sumOf(bars, ["used"]), { used: 0.5 });
  assert.equal(spendOf(ORDERS, Date.parse("2026-01-01T02:00:00Z"), "tokens")[1]?.total, 120);
});

test("what timed out is a failure, what was refused is none", () => {
  assert.equal(failuresOf(ORDERS), 1);
});

test("the axis ends at a round number no bar exceeds", () => {
  assert.deepEqual([0, 4, 7, 11, 99, 100, 101].map(roundUp), [4, 4, 10, 20, 100, 100, 200]);
});
