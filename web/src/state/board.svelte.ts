/** All jobs of the caller, kept up to date by events. */

import * as calls from "../api/calls";
import type { Batch, Job } from "../api/types";
import { app } from "./app.svelte";

export type Group = "drafts" | "active" | "done" | "stopped";

const GROUPS: Readonly<Record<Job["status"], Group>> = {
  drafted: "drafts",
  queued: "active",
  running: "active",
  canceling: "active",
  completed: "done",
  failed: "stopped",
  canceled: "stopped",
};

export function groupOf(job: Job): Group {
  return GROUPS[job.status];
}

class Board {
  private known: Record<string, Job> = $state.raw({});
  batches: Batch[] = $state.raw([]);
  cursor: string | null = $state(null);
  loaded = $state(false);
  readonly jobs: Job[] = $derived(
    Object.values(this.known).sort((a, b) => b.created_at.localeCompare(a.created_at) || b.id.localeCompare(a.id)),
  );
  readonly active = $derived(this.jobs.filter((job) => groupOf(job) === "active").length);
  private source: EventSource | null = null;
  private timer: ReturnType<typeof setTimeout> | null = null;

  begin(): void {
    if (this.source) return;
    void this.load();
    this.source = calls.boardEvents();
    this.source.addEventListener("job", (event) => this.take(JSON.parse(event.data) as Job));
    this.source.onerror = () => {
      // The browser tries again by itself, unless the service refused: the session may be over.
      if (this.source?.readyState === EventSource.CLOSED) this.end();
      void app.check();
    };
    // What happened while the connection was gone is read anew.
    this.source.onopen = () => this.loaded && void this.load();
  }

  end(): void {
    this.source?.close();
    this.source = null;
  }

  take(job: Job): void {
    const before = this.known[job.id];
    this.known = { ...this.known, [job.id]: job };
    if (job.batch && before?.status !== job.status) this.readBatches();
  }

  /** Once for all that happens within a moment. */
  private readBatches(): void {
    this.timer ??= setTimeout(async () => {
      this.timer = null;
      this.batches = await calls.batches().then(
        (page) => page.batches,
        () => this.batches,
      );
    }, 600);
  }

  drop(id: string): void {
    this.known = Object.fromEntries(Object.entries(this.known).filter(([key]) => key !== id));
  }

  async load(more = false): Promise<void> {
    const before = this.known;
    try {
      const page = await calls.jobs({ limit: "50", ...(more && this.cursor ? { cursor: this.cursor } : {}) });
      // What was heard of a job meanwhile is newer than the answer.
      const read = page.jobs.filter((job) => this.known[job.id] === before[job.id]);
      this.known = { ...this.known, ...Object.fromEntries(read.map((job) => [job.id, job])) };
      if (more || !this.loaded) this.cursor = page.next_cursor ?? null;
      this.batches = (await calls.batches()).batches;
    } catch (error) {
      app.fail(error);
    } finally {
      this.loaded = true;
    }
  }
}

export const board = new Board();
