/** A benchmark, and its figures as they come; it goes on when another page is looked at. */

import { benchmark, benchmarkReport, cancel } from "../api/calls";
import type { BenchmarkRequest, BenchmarkRow, Job } from "../api/types";
import { app } from "./app.svelte";
import { isEnded, JobWatch } from "./watch.svelte";

class Benchmark {
  rows: BenchmarkRow[] = $state.raw([]);
  failure: string | null = $state(null);
  private asking = $state(false);
  private readonly watch = new JobWatch(
    (job) => void this.finish(job),
    (told) => this.take(told),
  );

  get job(): Job | null {
    return this.watch.job;
  }

  get busy(): boolean {
    return this.asking || (this.job !== null && !isEnded(this.job.status));
  }

  /** Of the sizes and runs of the whole benchmark; null while it waits. */
  get share(): number | null {
    const progress = this.job?.progress;
    if (!progress?.total || progress.done == null) return null;
    return ((progress.step ?? 0) + progress.done / progress.total) / (progress.steps || 1);
  }

  async start(request: BenchmarkRequest): Promise<void> {
    this.asking = true;
    try {
      const job = await benchmark(request);
      this.rows = [];
      this.failure = null;
      this.watch.follow(job.id, job);
    } catch (error) {
      app.fail(error);
    } finally {
      this.asking = false;
    }
  }

  async stop(): Promise<void> {
    try {
      if (this.job) await cancel(this.job.id);
    } catch (error) {
      app.fail(error);
    }
  }

  private take(told: Record<string, unknown>): void {
    const row = told["benchmark"] as BenchmarkRow | undefined;
    if (row) this.rows = [...this.rows.filter((item) => item.target_path !== row.target_path), row];
  }

  private async finish(job: Job): Promise<void> {
    if (job.status === "failed") this.failure = job.failure?.message ?? null;
    if (job.status !== "completed") return;
    try {
      // All of them, also those of which the events were missed.
      this.rows = (await benchmarkReport(job.id)).results;
    } catch (error) {
      app.fail(error);
    }
  }
}

export const measuring = new Benchmark();
