// Proves orders as the dashboard does: reads JSON lines {shown, inclusion, root}, prints one proof a line.
import { createInterface } from "node:readline";
import { proveOrder } from "../../controlplane/dashboard/src/proof/orders.ts";

for await (const line of createInterface({ input: process.stdin })) {
  const { shown, inclusion, root } = JSON.parse(line);
  console.log(JSON.stringify(await proveOrder(shown, inclusion, root.replace("did:key:", ""))));
}
