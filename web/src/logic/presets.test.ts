import { describe, expect, it } from "vitest";
import { load, parse, save, withPreset, written } from "./presets";

describe("presets", () => {
  const preset = { name: "soft", processors: ["face_swapper"], options: { face_swapper_weight: 0.2 } };

  it("come back as they were written", () => {
    const kept = new Map<string, string>();
    save({ setItem: (key, value) => void kept.set(key, value) }, [preset]);
    expect(load({ getItem: (key) => kept.get(key) ?? null })).toEqual([preset]);
  });

  it("refuse other files, and skip entries that are none", () => {
    expect(() => parse("{}")).toThrow("presets");
    expect(() => parse("[]")).toThrow("presets");
    expect(parse(written([preset, { name: 3 } as never]))).toEqual([preset]);
    expect(load({ getItem: () => "nonsense" })).toEqual([]);
  });

  it("replace the one of the same name and stay sorted", () => {
    const other = { ...preset, name: "bold" };
    expect(withPreset([preset], other).map((item) => item.name)).toEqual(["bold", "soft"]);
    expect(withPreset([preset], { ...preset, processors: [] })).toEqual([{ ...preset, processors: [] }]);
  });
});
