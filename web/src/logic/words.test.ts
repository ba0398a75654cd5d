import { describe, expect, it } from "vitest";
import { ago, bytes, clock, duration, humanise } from "./words";

describe("words", () => {
  it("says sizes, times and names", () => {
    expect([bytes(0), bytes(999), bytes(85_200_000), bytes(null)]).toEqual(["0 B", "999 B", "85.2 MB", ""]);
    expect([duration(1.26), duration(59.7), duration(200), duration(7500), duration(null)]).toEqual([
      "1.3 s",
      "1 min",
      "3 min 20 s",
      "2 h 5 min",
      "",
    ]);
    expect([clock(0), clock(62.4), clock(59.999)]).toEqual(["0:00.00", "1:02.40", "1:00.00"]);
    expect(humanise("face_swapper_pixel_boost", "face_swapper")).toBe("Pixel boost");
    expect(ago("2026-01-01T00:00:00Z", Date.parse("2026-01-01T02:00:00Z"), "en")).toBe("2 hr. ago");
  });
});
