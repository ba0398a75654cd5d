import { describe, expect, it } from "vitest";
import { startLine } from "./execution";

describe("starting on other devices", () => {
  it.each([
    ["cpu", 0, "MIEN_PROVIDERS=cpu mien serve"],
    ["cuda", 8, "MIEN_PROVIDERS=cuda,cpu MIEN_THREADS=8 mien serve"],
    ["cuda", 1.5, "MIEN_PROVIDERS=cuda,cpu mien serve"],
  ] as const)("%s with %d threads", (provider, threads, line) => expect(startLine(provider, threads)).toBe(line));
});
