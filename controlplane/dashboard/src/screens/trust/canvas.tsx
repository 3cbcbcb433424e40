// The graph drawn: each node a real button, so that keys and screen readers reach it like any other.
import "@xyflow/react/dist/base.css";
import "./graph.css";
import {
  Controls,
  type Edge,
  Handle,
  type Node,
  type NodeProps,
  Position,
  ReactFlow,
} from "@xyflow/react";
import {
  Boxes,
  FolderTree,
  KeyRound,
  type LucideIcon,
  Radio,
  ScrollText,
  Server,
  ShieldCheck,
  User,
  Users,
} from "lucide-react";
import { useMemo } from "react";
import { classes } from "../../ui/classes.ts";
import { inert } from "../../ui/inert.ts";
import { BOX, type Graph, type GraphNode, layOut, type NodeKind, walk } from "./graph.ts";

const ICONS: Record<NodeKind, LucideIcon> = {
  root: ShieldCheck,
  hub: Radio,
  log: ScrollText,
  key: KeyRound,
  person: User,
  agent: Server,
  everyone: Boxes,
  realm: FolderTree,
  group: Users,
};

type Shown = Node<
  { node: GraphNode; chosen: boolean; apart: boolean; onChoose: (id: string) => void },
  "party"
>;

const NODE_TYPES = { party: Party };
const MOST_PIXELS = 560;
const LEAST_PIXELS = 220;

export function Canvas({
  graph,
  chosen,
  onChoose,
  onChooseLinks,
}: {
  graph: Graph;
  /** The node that is open; everything on a path through it stands out. */
  chosen: string | null;
  onChoose: (id: string) => void;
  onChooseLinks: (links: readonly string[], to: string) => void;
}) {
  const places = useMemo(() => layOut(graph), [graph]);
  const near = useMemo(() => {
    if (chosen === null) return null;
    return new Set([...walk(graph.edges, chosen, "up"), ...walk(graph.edges, chosen, "down")]);
  }, [graph, chosen]);
  const nodes = useMemo(
    (): Shown[] =>
      // In the order of columns and rows, which is the order Tab goes.
      [...graph.nodes]
        .sort(
          (a, b) => a.column - b.column || (places.get(a.id)?.y ?? 0) - (places.get(b.id)?.y ?? 0),
        )
        .map((node) => ({
          id: node.id,
          type: "party",
          position: { ...(places.get(node.id) ?? { x: 0, y: 0 }) },
          width: BOX.width,
          height: BOX.height,
          data: {
            node,
            chosen: node.id === chosen,
            apart: near !== null && !near.has(node.id),
            onChoose,
          },
        })),
    [graph, places, near, chosen, onChoose],
  );
  const columnOf = useMemo(() => {
    const columns = new Map(graph.nodes.map((one) => [one.id, one.column]));
    return (id: string) => columns.get(id) ?? 0;
  }, [graph]);
  const edges = useMemo(
    (): Edge[] =>
      graph.edges.map((edge) => {
        const apart = near !== null && !(near.has(edge.from) && near.has(edge.to));
        const on = near !== null && !apart;
        return {
          id: edge.id,
          source: edge.from,
          target: edge.to,
          // Beside or behind where it comes from: in at the same side, around the outside.
          ...(columnOf(edge.from) >= columnOf(edge.to) ? { targetHandle: "back" } : {}),
          data: { links: edge.links },
          className: classes(edge.kind, edge.ended && "ended", apart && "apart", on && "chosen"),
        };
      }),
    [graph, near, columnOf],
  );
  const bottom = Math.max(...[...places.values()].map((one) => one.y)) + BOX.height;
  const height = Math.min(MOST_PIXELS, Math.max(LEAST_PIXELS, bottom + 72));
  return (
    <div style={{ height }}>
      <ReactFlow
        aria-label="Trust graph, from the root on the left to the agents on the right"
        nodes={nodes}
        edges={edges}
        nodeTypes={NODE_TYPES}
        // Another graph is another picture: fitted anew.
        key={graph.nodes.map((one) => one.id).join()}
        fitView
        fitViewOptions={{ padding: "24px", maxZoom: 1 }}
        minZoom={0.2}
        maxZoom={2}
        nodesDraggable={false}
        nodesConnectable={false}
        nodesFocusable={false}
        edgesFocusable={false}
        elementsSelectable={false}
        disableKeyboardA11y
        zoomOnScroll={false}
        zoomOnDoubleClick={false}
        preventScrolling={false}
        onEdgeClick={(_, edge) =>
          onChooseLinks((edge.data?.links as string[] | undefined) ?? [], edge.target)
        }
      >
        <Controls showInteractive={false} />
      </ReactFlow>
    </div>
  );
}

function Party({ data: { node, chosen, apart, onChoose } }: NodeProps<Shown>) {
  const Icon = ICONS[node.kind];
  return (
    <>
      <Handle type="target" position={Position.Left} isConnectable={false} />
      <button
        type="button"
        aria-pressed={chosen}
        onClick={() => onChoose(node.id)}
        title={inert(`${node.title}: ${node.note}`)}
        className={classes(
          "nodrag nopan pointer-events-auto flex size-full items-center gap-2 rounded-md border px-2 text-left transition-colors",
          chosen ? "border-accent-ink bg-chosen" : "bg-surface hover:bg-hover",
          !chosen && (node.ended ? "border-dashed border-bad-mark" : "border-line-strong"),
          node.kind === "group" && "border-double border-4",
        )}
      >
        <Icon
          aria-hidden
          className={classes("size-4 shrink-0", apart ? "text-faint" : "text-accent-ink")}
        />
        <span className="min-w-0 flex-1">
          <span className={classes("block truncate text-xs font-medium", apart && "text-muted")}>
            {inert(node.title)}
          </span>
          <span className="block truncate text-2xs text-muted">
            {node.ended ? "ended" : inert(node.note)}
          </span>
        </span>
      </button>
      <Handle type="target" id="back" position={Position.Right} isConnectable={false} />
      <Handle type="source" position={Position.Right} isConnectable={false} />
    </>
  );
}
