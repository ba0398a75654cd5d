/** What the strip under a clip shows. */

import { clamp } from "./range";

export interface Moment {
  time: number;
  frame: number;
  faces: number;
  thumbnail: string | null;
}

/** Seconds between looks, so that a clip of any length has about `wanted` of them. */
export function interval(seconds: number, wanted = 120): number {
  return Math.max(1, Math.ceil(seconds / wanted));
}

/** The pictures of the film strip: for each of `count` places the moment nearest to its middle. */
export function strip(moments: readonly Moment[], count: number, frames: number): (Moment | null)[] {
  // Between two looks, the picture of the nearer one stands for the place.
  const apart = moments.length > 1 ? Math.abs(moments[1]!.frame - moments[0]!.frame) : 0;
  return Array.from({ length: count }, (_, index) => {
    const middle = ((index + 0.5) / count) * frames;
    let best: Moment | null = null;
    for (const moment of moments) {
      if (moment.thumbnail && (!best || Math.abs(moment.frame - middle) < Math.abs(best.frame - middle))) best = moment;
    }
    return best && Math.abs(best.frame - middle) <= Math.max(frames / count, apart) + 1 ? best : null;
  });
}

export interface Span {
  from: number;
  to: number;
  faces: number;
}

/** Stretches with the same number of faces, as shares of the clip. */
export function presence(moments: readonly Moment[], frames: number): Span[] {
  const spans: Span[] = [];
  const sorted = [...moments].sort((a, b) => a.frame - b.frame);
  sorted.forEach((moment, index) => {
    const from = clamp(moment.frame / frames, 0, 1);
    const next = sorted[index + 1];
    const width = sorted.length > 1 ? sorted[1]!.frame - sorted[0]!.frame : frames;
    const to = clamp((next ? next.frame : moment.frame + width) / frames, 0, 1);
    const last = spans.at(-1);
    if (last && last.faces === moment.faces) last.to = to;
    else spans.push({ from, to, faces: moment.faces });
  });
  return spans;
}

/** The frame of the next or previous moment at which the number of faces changes. */
export function nextChange(moments: readonly Moment[], frame: number, direction: 1 | -1): number | null {
  const sorted = [...moments].sort((a, b) => a.frame - b.frame);
  const changes = sorted.filter((moment, index) => index === 0 || sorted[index - 1]!.faces !== moment.faces);
  const found = direction > 0 ? changes.find((m) => m.frame > frame) : changes.filter((m) => m.frame < frame).at(-1);
  return found?.frame ?? null;
}
