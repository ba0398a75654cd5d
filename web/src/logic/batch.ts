/** Arithmetic of batches. */

import type { Job } from "../api/types";

/** Jobs of so many targets and sources; without sources, each target is one job. */
export function jobsOf(targets: number, sources: number): number {
  return targets * Math.max(sources, 1);
}

/** Seconds of all jobs, from those of some. */
export function scaled(seconds: number, of: number, jobs: number): number {
  return of > 0 ? (seconds / of) * jobs : 0;
}

const ENDED = ["completed", "failed", "canceled"];

/** How far a batch is, 0 to 1: what has ended, and what is done of the jobs that run. */
export function share(total: number, counts: Readonly<Record<string, number>>, running: readonly Job[]): number {
  if (total <= 0) return 0;
  const ended = ENDED.reduce((sum, status) => sum + (counts[status] ?? 0), 0);
  const part = running.reduce((sum, { progress }) => {
    if (progress?.done == null || !progress.total) return sum;
    return sum + ((progress.step ?? 0) + progress.done / progress.total) / Math.max(progress.steps ?? 1, 1);
  }, 0);
  return Math.min((ended + part) / total, 1);
}
