import { describe, expect, it } from "vitest";
import { type Bench, missing, stepOf, toggled, withoutSource } from "./step";

const bench: Bench = {
  recipe: { processors: ["face_swapper"], options: { face_swapper_weight: 0.7, face_enhancer_blend: 10, output_image_quality: 90 } },
  sources: [
    { key: "m1", asset: "aaa", kind: "image" },
    { key: "m2", asset: null, kind: "image" },
    { key: "m3", asset: "ccc", kind: "image" },
  ],
  target: { asset: "ttt", kind: "video", frames: 100 },
  mapped: [],
  trim: { start: 10, end: 100 },
  output: {},
};
const known = { face_swapper: ["face_swapper_weight"], face_enhancer: ["face_enhancer_blend"] };

describe("a step", () => {
  it("says what the bench shows and nothing that has no effect", () => {
    expect(stepOf(bench, known)).toEqual({
      processors: ["face_swapper"],
      sources: ["aaa", "ccc"],
      target: "ttt",
      options: { face_swapper_weight: 0.7, output_image_quality: 90, trim_frame_start: 10 },
    });
  });

  it("does not trim pictures and results of steps", () => {
    expect(stepOf({ ...bench, target: { asset: "t", kind: "image", frames: 1 } }).options).not.toHaveProperty("trim_frame_start");
    expect(stepOf({ ...bench, target: { step: 0 } }).target).toEqual({ step: 0 });
  });

  it("maps faces to assets and forgets sources that are not there yet", () => {
    const mapped = [
      { face: "f0-1-2-3-4", frame: 0, crop: null, sources: ["m1", "m2"] },
      { face: "f0-5-6-7-8", frame: 0, crop: null, sources: ["m2"] },
    ];
    const sources = [...bench.sources, { key: "m4", asset: "sss", kind: "audio" }];
    const step = stepOf({ ...bench, sources, mapped });
    expect(step.face_map).toEqual([{ face: "f0-1-2-3-4", sources: ["aaa"] }]);
    expect(step.sources).toEqual(["sss"]);
  });
});

describe("who replaces whom", () => {
  const face = { face: "f0-1-2-3-4", frame: 0, crop: null };

  it("adds, adds a second, and takes away", () => {
    const one = toggled([], face, "m1");
    const two = toggled(one, face, "m3");
    expect(two).toEqual([{ ...face, sources: ["m1", "m3"] }]);
    expect(toggled(toggled(two, face, "m1"), face, "m3")).toEqual([]);
  });

  it("follows when a source goes", () => {
    expect(withoutSource([{ ...face, sources: ["m1", "m3"] }], "m1")).toEqual([{ ...face, sources: ["m3"] }]);
    expect(withoutSource([{ ...face, sources: ["m1"] }], "m1")).toEqual([]);
  });
});

describe("what is missing", () => {
  const needs = { face_swapper: "face", lip_syncer: "audio", face_debugger: null };
  const ready = { ...bench, sources: [bench.sources[0]!] };

  it("names the most important thing first", () => {
    expect(missing({ ...ready, target: null }, needs)).toBe("target");
    expect(missing({ ...ready, recipe: { processors: [], options: {} } }, needs)).toBe("processor");
    expect(missing(bench, needs)).toBe("uploads");
    expect(missing({ ...ready, sources: [] }, needs)).toBe("source");
    expect(missing({ ...ready, recipe: { processors: ["lip_syncer"], options: {} } }, needs)).toBe("audio");
    expect(missing({ ...ready, sources: [], recipe: { processors: ["face_debugger"], options: {} } }, needs)).toBeNull();
    expect(missing(ready, needs)).toBeNull();
  });
});
