/** The workbench: what is on it, and what follows from that. */

import * as calls from "../api/calls";
import { isAborted } from "../api/client";
import type { Asset, Estimate, Face, Job, JobRequest, StepRequest, Values } from "../api/types";
import { clamp, type Trim } from "../logic/range";
import { type Mapped, missing, type Missing, type Recipe, stepOf, toggled, withoutSource } from "../logic/step";
import { interval, type Moment } from "../logic/timeline";
import { app } from "./app.svelte";
import { Previewer } from "./preview.svelte";
import { Media } from "./source.svelte";
import { JobWatch } from "./watch.svelte";

export type Who = "all" | "one" | "chosen";
export type Compare = "slider" | "side" | "after" | "before" | "close";

const PLACE = "mien.recipe";
const FIRST: Recipe = { processors: ["face_swapper"], options: {} };
/** Options that decide where faces are found; when one changes, faces are searched anew. */
const FINDING = /^face_(detector|landmarker)_|^face_selector_(order|gender|race|age)/;

class Bench {
  sources: Media[] = $state([]);
  target: Media | null = $state(null);
  recipe: Recipe = $state(keptRecipe());
  who: Who = $state("all");
  mapped: Mapped[] = $state.raw([]);
  /** The one person who is changed where there is nobody to put in. */
  reference: { frame: number; position: number; face: string; crop: string | null } | null = $state.raw(null);
  frame = $state(0);
  trim: Trim | null = $state.raw(null);
  moments: Moment[] = $state.raw([]);
  faces: Face[] = $state.raw([]);
  /** Size of the picture in which the boxes of the faces are meant. */
  facesIn: { width: number; height: number } | null = $state.raw(null);
  facesFrame = $state(-1);
  looking = $state(false);
  output: { format?: string; name?: string } = $state({});
  resolution = $state("");
  consent = $state("");
  priority = $state(5);
  compare: Compare = $state("slider");
  size = $state(1024);
  boxes = $state(true);
  estimate: Estimate | null = $state.raw(null);
  readonly preview = new Previewer();
  readonly run = new JobWatch();

  readonly needsFace = $derived(this.recipe.processors.some((name) => app.needs[name] === "face"));
  readonly needs = $derived({
    recipe: this.recipe,
    sources: this.sources.map(({ key, asset, kind }) => ({ key, asset: asset?.id ?? null, kind })),
    target: this.target?.asset
      ? { asset: this.target.asset.id, kind: this.target.kind, frames: this.target.frames }
      : null,
    mapped: this.who === "chosen" ? this.mapped : [],
    trim: this.trim,
    output: this.output,
    resolution: this.resolution || undefined,
  });
  readonly missing: Missing | null = $derived(missing(this.needs, app.needs));
  readonly step: StepRequest | null = $derived.by(() => {
    const target = this.needs.target;
    if (!target) return null;
    const step = stepOf({ ...this.needs, target }, app.keysOf);
    return { ...step, options: { ...step.options, ...this.selector(step) } };
  });
  readonly job: JobRequest | null = $derived(
    this.step && {
      steps: [this.step],
      priority: this.priority,
      ...(this.consent.trim() ? { consent_ref: this.consent.trim() } : {}),
    },
  );

  private faceStopper: AbortController | null = null;
  private lineStopper: AbortController | null = null;
  private estimateStopper: AbortController | null = null;
  private estimateTimer = 0;

  addSource(media: Media): void {
    this.sources = [...this.sources, media];
  }

  removeSource(media: Media): void {
    media.drop();
    this.sources = this.sources.filter((item) => item !== media);
    this.mapped = withoutSource(this.mapped, media.key);
  }

  /** Colour of a person: the place of the source, counted round. */
  colour(key: string): number {
    return Math.max(0, this.sources.findIndex((source) => source.key === key)) % 6;
  }

  setTarget(media: Media | null): void {
    this.target?.drop();
    this.lineStopper?.abort();
    this.faceStopper?.abort();
    this.target = media;
    this.frame = 0;
    this.trim = null;
    this.moments = [];
    this.faces = [];
    this.facesFrame = -1;
    this.mapped = [];
    this.reference = null;
    if (this.who === "chosen") this.who = "all";
    this.output = {};
    this.estimate = null;
    this.preview.clear();
    this.run.leave();
    this.run.job = null;
  }

  /** Once the service has the target: how long it is, and where faces are. */
  opened(asset: Asset): void {
    if (this.target?.kind !== "video") return;
    this.trim = { start: 0, end: Math.max(asset.frames ?? 1, 1) };
    void this.readTimeline(asset);
  }

  go(frame: number): void {
    this.frame = clamp(Math.round(frame), 0, (this.target?.frames ?? 1) - 1);
  }

  choose(face: Face, source: string): void {
    if (this.who !== "chosen") this.mapped = [];
    this.who = "chosen";
    this.reference = null;
    const crop = face.crop ?? null;
    this.mapped = toggled(this.mapped, { face: face.id, frame: this.facesFrame, crop }, source);
  }

  unchoose(face: string): void {
    this.mapped = this.mapped.filter((entry) => entry.face !== face);
  }

  /** Change this person only, wherever it appears. */
  refer(face: Face): void {
    this.who = "chosen";
    this.mapped = [];
    this.reference = {
      frame: this.facesFrame,
      position: this.faces.indexOf(face),
      face: face.id,
      crop: face.crop ?? null,
    };
  }

  setRecipe(recipe: Recipe): void {
    this.recipe = { processors: [...recipe.processors], options: { ...recipe.options } };
    localStorage.setItem(PLACE, JSON.stringify(this.recipe));
  }

  finding(): Values {
    return Object.fromEntries(Object.entries(this.recipe.options).filter(([key]) => FINDING.test(key)));
  }

  async readFaces(asset: string, frame: number, options: Values): Promise<void> {
    this.faceStopper?.abort();
    const stopper = (this.faceStopper = new AbortController());
    this.looking = true;
    try {
      const found = await calls.detect(asset, frame, options, stopper.signal);
      this.faces = found.faces;
      this.facesIn = { width: found.width, height: found.height };
      this.facesFrame = frame;
    } catch (error) {
      if (isAborted(error)) return;
      this.faces = [];
      this.facesFrame = frame;
    }
    if (this.faceStopper === stopper) this.looking = false;
  }

  /** Ask for the time, when nothing has changed for a moment. */
  readEstimate(job: JobRequest): void {
    window.clearTimeout(this.estimateTimer);
    this.estimateStopper?.abort();
    const stopper = (this.estimateStopper = new AbortController());
    this.estimateTimer = window.setTimeout(async () => {
      try {
        this.estimate = await calls.estimate(job, stopper.signal);
      } catch {
        this.estimate = null;
      }
    }, 500);
  }

  async start(): Promise<Job | null> {
    if (!this.job) return null;
    const job = await calls.submit(this.job);
    this.run.follow(job.id, job);
    return job;
  }

  private async readTimeline(asset: Asset): Promise<void> {
    const stopper = (this.lineStopper = new AbortController());
    try {
      const every = interval(asset.duration ?? 1);
      for await (const entry of calls.timeline(asset.id, every, stopper.signal)) {
        const { time, frame, faces, thumbnail } = entry;
        this.moments = [...this.moments, { time, frame, faces: faces.length, thumbnail: thumbnail ?? null }];
      }
    } catch (error) {
      if (!isAborted(error)) app.fail(error);
    }
  }

  /** What the choice of people means in options. */
  private selector(step: StepRequest): Values {
    if (this.who === "one") return { face_selector_mode: "one" };
    if (this.who === "all") return { face_selector_mode: "many" };
    if (step.face_map?.length) return {};
    if (!this.reference) return { face_selector_mode: "many" };
    return {
      face_selector_mode: "reference",
      reference_frame_number: this.reference.frame,
      reference_face_position: this.reference.position,
    };
  }
}

function keptRecipe(): Recipe {
  try {
    const kept = JSON.parse(localStorage.getItem(PLACE) ?? "null") as Recipe | null;
    return kept && Array.isArray(kept.processors) && kept.options ? kept : FIRST;
  } catch {
    return FIRST;
  }
}

export const bench = new Bench();
