import { submit as ask } from "../api/calls";
import type { Job, StepRequest } from "../api/types";
import { bench } from "../state/bench.svelte";

/** A new job of these steps, with the consent that is noted on the workbench. */
export function submit(steps: StepRequest[], draft: boolean): Promise<Job> {
  const consent = bench.consent.trim();
  return ask({ steps, draft, priority: bench.priority, ...(consent ? { consent_ref: consent } : {}) });
}
