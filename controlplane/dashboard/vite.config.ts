// How the pages are built: relative addresses (a hub may lie below a path), names with content
// hashes, each file also packed, so that the hub only has to hand them out.
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import tailwindcss from "@tailwindcss/vite";
import react from "@vitejs/plugin-react";
import { defineConfig, type Plugin } from "vite";

const PACKED = /\.(js|css|svg|json|txt)$/;
const LEAST_BYTES = 1024;

function pack(): Plugin {
  return {
    name: "pack",
    apply: "build",
    closeBundle() {
      for (const name of readdirSync("dist", { recursive: true, encoding: "utf-8" })) {
        const path = join("dist", name);
        if (!PACKED.test(name) || statSync(path).size < LEAST_BYTES) continue;
        const data = readFileSync(path);
        writeFileSync(`${path}.gz`, gzipSync(data, { level: 9 }));
        const params = { [constants.BROTLI_PARAM_QUALITY]: 11 };
        writeFileSync(`${path}.br`, brotliCompressSync(data, { params }));
      }
    },
  };
}

const hub = process.env.WRIT_URL ?? "http://127.0.0.1:8080";

export default defineConfig({
  base: "./",
  plugins: [react(), tailwindcss(), pack()],
  build: {
    target: "es2023",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    sourcemap: false,
    manifest: "manifest.json",
    reportCompressedSize: false,
  },
  server: {
    proxy: Object.fromEntries(
      ["/api", "/.well-known", "/healthz", "/openapi.json", "/docs"].map((path) => [
        path,
        { target: hub },
      ]),
    ),
  },
});
