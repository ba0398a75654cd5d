import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig } from "vitest/config";

const service = process.env["MIEN_SERVICE"] ?? "http://127.0.0.1:8080";

export default defineConfig({
  plugins: [svelte()],
  // Relative addresses: the studio works below any path that a proxy serves it under.
  base: "./",
  build: {
    outDir: "../src/mien/studio/dist",
    emptyOutDir: true,
    target: "es2022",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: true,
  },
  server: { proxy: { "/api": { target: service, ws: true } } },
  test: { environment: "node", include: ["src/**/*.test.ts"] },
});
