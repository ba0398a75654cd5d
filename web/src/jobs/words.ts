import type { Job, JobStep } from "../api/types";
import { named, t } from "../i18n/index.svelte";
import { humanise } from "../logic/words";
import { app } from "../state/app.svelte";

export function workflowTitle(name: string): string {
  return app.capabilities?.workflows.find((item) => item.name === name)?.title || name;
}

/** What a step does, in a line. */
export function stepTitle(step: Pick<JobStep, "processors" | "workflow">): string {
  if (step.workflow) return workflowTitle(String(step.workflow["name"] ?? "ComfyUI"));
  return step.processors.map((name) => named("processor", name, humanise(name))).join(" → ");
}

export function jobTitle(job: Job): string {
  if (job.kind === "download") return t("job.download.kind");
  if (job.kind === "benchmark") return t("job.benchmark.kind");
  if (job.workflow) return workflowTitle(job.workflow);
  // Boards get jobs without their steps.
  const names = job.steps.length
    ? job.steps.map(stepTitle).filter(Boolean)
    : job.processors.map((name) => named("processor", name, humanise(name)));
  return names.length ? names.join(", ") : (job.results[0]?.name ?? humanise(job.kind));
}

export function tone(status: string): string {
  return { completed: "good", failed: "bad", canceled: "", running: "good", started: "good" }[status] ?? "";
}
