/** Follows one job by its events, for as long as somebody looks. */

import { job as getJob, jobEvents } from "../api/calls";
import type { Job, Progress } from "../api/types";

/** Milliseconds until a connection that was refused is tried again. */
const AGAIN = 3000;
const ENDED: readonly string[] = ["completed", "failed", "canceled"];

export function isEnded(status: string): boolean {
  return ENDED.includes(status);
}

export class JobWatch {
  job: Job | null = $state.raw(null);
  notices: string[] = $state.raw([]);
  /** A look at what is under way, as an address of a picture. */
  glimpse: string | null = $state(null);
  private source: EventSource | null = null;
  private id: string | null = null;

  constructor(
    private readonly onEnd: (job: Job) => void = () => {},
    private readonly onStep: (told: Record<string, unknown>) => void = () => {},
  ) {}

  follow(id: string, known: Job | null = null): void {
    this.leave();
    this.id = id;
    this.job = known;
    const source = jobEvents(id);
    this.source = source;
    source.addEventListener("snapshot", (event) => this.take(JSON.parse(event.data) as Job));
    source.addEventListener("progress", (event) => {
      if (this.job) this.job = { ...this.job, progress: JSON.parse(event.data) as Progress };
    });
    source.addEventListener("preview", (event) => {
      const { content_type, data } = JSON.parse(event.data) as { content_type: string; data: string };
      this.glimpse = `data:${content_type};base64,${data}`;
    });
    source.addEventListener("notice", (event) => {
      this.notices = [...this.notices, (JSON.parse(event.data) as { text: string }).text];
    });
    source.addEventListener("step", (event) => this.onStep(JSON.parse(event.data) as Record<string, unknown>));
    for (const type of ["status", "step", "result"]) source.addEventListener(type, () => void this.refresh());
    // The browser connects anew by itself, and the service sends what was missed.
    source.onerror = () => {
      if (source.readyState !== EventSource.CLOSED || this.source !== source) return;
      setTimeout(() => this.source === source && this.follow(id, this.job), AGAIN);
    };
  }

  leave(): void {
    this.source?.close();
    this.source = null;
    this.id = null;
    this.notices = [];
    this.glimpse = null;
  }

  async refresh(): Promise<void> {
    const id = this.id;
    if (!id) return;
    try {
      const job = await getJob(id);
      if (this.id === id) this.take(job);
    } catch {
      // The event stream says it again, or the user asks again.
    }
  }

  private take(job: Job): void {
    const ends = isEnded(job.status) && !isEnded(this.job?.status ?? "");
    this.job = job;
    if (!isEnded(job.status)) return;
    this.glimpse = null;
    this.source?.close();
    this.source = null;
    if (ends) this.onEnd(job);
  }
}
