import { describe, expect, it } from "vitest";
import type { Job } from "../api/types";
import { jobsOf, scaled, share } from "./batch";

const running = (done: number, total: number) => ({ progress: { done, total, step: 0, steps: 1 } }) as Job;

describe("batches", () => {
  it("have a job for each target and source", () => {
    expect(jobsOf(3, 2)).toBe(6);
    expect(jobsOf(3, 0)).toBe(3);
    expect(scaled(10, 2, 6)).toBe(30);
    expect(scaled(0, 0, 6)).toBe(0);
  });

  it("go on with every job and every frame", () => {
    expect(share(4, { completed: 1, failed: 1, queued: 2 }, [])).toBe(0.5);
    expect(share(4, { completed: 1, running: 1, queued: 2 }, [running(5, 10)])).toBe(0.375);
    expect(share(4, {}, [{ progress: null } as unknown as Job])).toBe(0);
    expect(share(0, {}, [])).toBe(0);
  });
});
