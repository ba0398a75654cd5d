import { describe, expect, it } from "vitest";
import { Flight, parseAnswer } from "./live";

describe("live", () => {
  it("reads the header of an answer", () => {
    const data = new Uint8Array([0, 0, 1, 2, 0, 0, 0, 40, 255, 216]).buffer;
    const { frame, milliseconds, picture } = parseAnswer(data);
    expect([frame, milliseconds, [...new Uint8Array(picture)]]).toEqual([258, 40, [255, 216]]);
    expect(() => parseAnswer(new ArrayBuffer(4))).toThrow("shorter");
  });

  it("lets few frames out, measures the delay, and gives up lost ones", () => {
    let now = 0;
    const flight = new Flight(2, () => now);
    flight.out(0);
    flight.out(40);
    expect(flight.room()).toBe(false);
    expect(flight.dropped).toBe(1);
    flight.back(100);
    expect(flight.delay).toBe(100);
    expect(flight.room()).toBe(true);
    now = 5000;
    expect(flight.room()).toBe(true);
  });

  it("tells the rate of the last two seconds", () => {
    const flight = new Flight();
    for (let time = 0; time <= 1000; time += 100) flight.back(time);
    expect(flight.rate(1000)).toBeCloseTo(10);
    expect(flight.rate(9000)).toBe(0);
  });
});
