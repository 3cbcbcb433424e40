import assert from "node:assert/strict";
import { test } from "node:test";
import { sizeOf } from "./size.ts";

test("sizes are said in the unit that fits", () => {
  const said = [0, 1, 1023, 1024, 1_572_864, 1_073_741_824, 5e15].map(sizeOf);
  assert.deepEqual(said, [
    "0 bytes",
    "1 byte",
    "1023 bytes",
    "1.0 KiB",
    "1.5 MiB",
    "1.0 GiB",
    "4547 TiB",
  ]);
});
