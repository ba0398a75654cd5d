import { describe, expect, it } from "vitest";
import { clamp, decimals, keepIn, moved, moveTrim, snap, trimOptions, WHOLE, zoomAt } from "./range";

describe("numbers on a grid", () => {
  it("keeps to range and grid without noise", () => {
    expect(snap(0.1 + 0.2, 0, 1, 0.1)).toBe(0.3);
    expect(snap(7, 0, 1, 0.05)).toBe(1);
    expect(snap(-40, -100, 100, 5)).toBe(-40);
    expect(snap(13, 1, 99, 7)).toBe(15);
  });

  it("counts decimals", () => {
    expect([decimals(1), decimals(0.05), decimals(1e-7)]).toEqual([0, 2, 7]);
  });

  it("clamps, and takes the low end of an empty range", () => {
    expect([clamp(5, 0, 3), clamp(-5, 0, 3), clamp(5, 2, 1)]).toEqual([3, 0, 2]);
  });
});

describe("trim", () => {
  it("keeps at least one frame and stays inside", () => {
    const trim = { start: 10, end: 20 };
    expect(moveTrim(trim, "start", 25, 100)).toEqual({ start: 19, end: 20 });
    expect(moveTrim(trim, "end", 3, 100)).toEqual({ start: 10, end: 11 });
    expect(moveTrim(trim, "end", 300, 100)).toEqual({ start: 10, end: 100 });
    expect(moveTrim(trim, "start", -4, 100)).toEqual({ start: 0, end: 20 });
  });

  it("says nothing where a handle is at its end", () => {
    expect(trimOptions({ start: 0, end: 100 }, 100)).toEqual({});
    expect(trimOptions({ start: 5, end: 90 }, 100)).toEqual({ trim_frame_start: 5, trim_frame_end: 90 });
  });
});

describe("zoom", () => {
  it("leaves what is under the pointer where it is", () => {
    const view = zoomAt(WHOLE, 2, 30, -10);
    // A point p of the picture is shown at p * scale + offset; the one under the pointer was (30, -10).
    expect([30 * view.scale + view.x, -10 * view.scale + view.y]).toEqual([30, -10]);
  });

  it("ends at the whole picture and cannot lose it", () => {
    expect(zoomAt({ scale: 1.1, x: 9, y: 9 }, 0.5, 0, 0)).toEqual(WHOLE);
    expect(keepIn({ scale: 2, x: 900, y: -900 }, 400, 200)).toEqual({ scale: 2, x: 200, y: -100 });
    expect(keepIn({ scale: 1, x: 5, y: 5 }, 400, 200)).toEqual(WHOLE);
  });
});

describe("order", () => {
  it("moves one item and refuses places outside", () => {
    expect(moved(["a", "b", "c"], 0, 2)).toEqual(["b", "c", "a"]);
    expect(moved(["a", "b", "c"], 2, 0)).toEqual(["c", "a", "b"]);
    expect(moved(["a", "b"], 1, 2)).toEqual(["a", "b"]);
  });
});
