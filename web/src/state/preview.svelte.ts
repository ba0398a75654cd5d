/** The preview of one frame: asked for when things have settled for a moment, small first, then in full size. */

import { preview } from "../api/calls";
import { ApiError, isAborted, messageOf } from "../api/client";
import type { ModelEntry, StepRequest } from "../api/types";
import { app } from "./app.svelte";

const SETTLE = 140;
const QUICK = 400;
/** From which time a small preview comes before the one in full size, milliseconds. */
const SLOW = 500;

export class Previewer {
  url: string | null = $state(null);
  frame = $state(-1);
  busy = $state(false);
  error: { code: string; message: string } | null = $state.raw(null);
  faces = $state(0);
  milliseconds = $state(0);
  models: string[] = $state.raw([]);
  /** Models that the step names and that are not there; what is shown was made without them. */
  instead: ModelEntry[] = $state.raw([]);
  private readonly group = crypto.getRandomValues(new Uint32Array(2)).join("-");
  private timer = 0;
  private stopper: AbortController | null = null;
  private lastTime = 0;

  /** Ask for a preview; one that is under way is given up. */
  want(step: StepRequest, frame: number, size: number): void {
    this.stop();
    this.busy = true;
    this.timer = window.setTimeout(() => void this.make(step, frame, size), SETTLE);
  }

  clear(): void {
    this.stop();
    this.show(null);
    this.frame = -1;
    this.error = null;
    this.instead = [];
    this.lastTime = 0;
  }

  private stop(): void {
    window.clearTimeout(this.timer);
    this.stopper?.abort();
    this.stopper = null;
    this.busy = false;
  }

  private async make(wanted: StepRequest, frame: number, size: number): Promise<void> {
    const stopper = new AbortController();
    this.stopper = stopper;
    const instead = app.missingModels(wanted.options ?? {});
    const step = instead.length ? without(wanted, instead) : wanted;
    try {
      if (this.lastTime > SLOW && size > QUICK) await this.get(step, frame, QUICK, stopper.signal);
      this.lastTime = await this.get(step, frame, size, stopper.signal);
      this.instead = instead;
      this.error = null;
    } catch (error) {
      if (isAborted(error)) return;
      if (error instanceof ApiError && ["unreachable", "unauthorized"].includes(error.code)) app.fail(error);
      this.error = { code: error instanceof ApiError ? error.code : "error", message: messageOf(error) };
      this.show(null);
    }
    if (this.stopper === stopper) this.busy = false;
  }

  private async get(step: StepRequest, frame: number, size: number, signal: AbortSignal): Promise<number> {
    const begin = performance.now();
    const made = await preview(step, frame, size, this.group, signal);
    this.faces = made.faces;
    this.models = made.models;
    this.milliseconds = performance.now() - begin;
    this.show(URL.createObjectURL(made.blob));
    this.frame = frame;
    return this.milliseconds;
  }

  private show(url: string | null): void {
    const old = this.url;
    this.url = url;
    // The old picture stays for a moment: the browser may still be painting it.
    if (old) setTimeout(() => URL.revokeObjectURL(old), 1000);
  }
}

/** The step without the options that name models which are not there: the service then takes one that is. */
function without(step: StepRequest, models: readonly ModelEntry[]): StepRequest {
  const gone = new Set(models.map((model) => model.id));
  const options = Object.fromEntries(
    Object.entries(step.options ?? {}).filter(([key, value]) => !gone.has(app.modelFor(key, value)?.id ?? "")),
  );
  return { ...step, options };
}
