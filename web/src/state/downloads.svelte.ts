/** Models on their way to the service. */

import { download } from "../api/calls";
import type { Job } from "../api/types";
import { app } from "./app.svelte";
import { JobWatch } from "./watch.svelte";

class Downloads {
  private watches: Record<string, JobWatch> = $state({});

  /** Share of a model that is there; null where it is not known; undefined where nothing is under way. */
  shareOf(model: string): number | null | undefined {
    const watch = this.watches[model];
    if (!watch) return undefined;
    const progress = watch.job?.progress;
    return progress?.done != null && progress.total ? progress.done / progress.total : null;
  }

  jobOf(model: string): Job | null {
    return this.watches[model]?.job ?? null;
  }

  async start(models: string[]): Promise<void> {
    try {
      const job = await download(models);
      const watch = new JobWatch((ended) => void this.finish(models, ended));
      for (const model of models) this.watches[model] = watch;
      watch.follow(job.id, job);
    } catch (error) {
      app.fail(error);
    }
  }

  private async finish(models: string[], job: Job): Promise<void> {
    for (const model of models) delete this.watches[model];
    if (job.failure) app.fail(new Error(job.failure.message));
    await app.loadModels();
  }
}

export const downloads = new Downloads();
