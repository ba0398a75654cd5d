import { describe, expect, it } from "vitest";
import { interval, nextChange, presence, strip } from "./timeline";

const moment = (frame: number, faces: number, thumbnail: string | null = "p") => ({ time: frame / 25, frame, faces, thumbnail });

describe("timeline", () => {
  it("looks every second, less often in long clips", () => {
    expect([interval(5), interval(120), interval(3600)]).toEqual([1, 1, 30]);
  });

  it("fills the strip with the nearest pictures and leaves holes where none is known", () => {
    const shown = strip([moment(0, 1), moment(25, 1)], 4, 100);
    expect(shown.map((item) => item?.frame ?? null)).toEqual([0, 25, null, null]);
  });

  it("joins stretches with as many faces", () => {
    expect(presence([moment(50, 0), moment(0, 1), moment(25, 1)], 100)).toEqual([
      { from: 0, to: 0.5, faces: 1 },
      { from: 0.5, to: 0.75, faces: 0 },
    ]);
  });

  it("jumps to where faces change", () => {
    const moments = [moment(0, 1), moment(25, 1), moment(50, 2)];
    expect([nextChange(moments, 10, 1), nextChange(moments, 60, -1), nextChange(moments, 60, 1)]).toEqual([50, 50, null]);
  });
});
