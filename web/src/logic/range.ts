/** Arithmetic of sliders, the timeline and the zoomed stage. */

export function clamp(value: number, low: number, high: number): number {
  return Math.min(Math.max(value, low), Math.max(low, high));
}

/** The nearest value on the grid of an option, without the noise of floating point. */
export function snap(value: number, low: number, high: number, step: number): number {
  const snapped = low + Math.round((clamp(value, low, high) - low) / step) * step;
  const digits = Math.max(decimals(step), decimals(low));
  return Number(clamp(snapped, low, high).toFixed(digits));
}

export function decimals(value: number): number {
  const text = String(value);
  if (text.includes("e-")) return Number(text.split("e-")[1]);
  return text.includes(".") ? text.length - text.indexOf(".") - 1 : 0;
}

export interface Trim {
  start: number;
  end: number;
}

/** Move one handle; at least one frame stays between them. `end` is the frame to stop before. */
export function moveTrim(trim: Trim, handle: "start" | "end", frame: number, frames: number): Trim {
  if (handle === "start") return { ...trim, start: clamp(Math.round(frame), 0, trim.end - 1) };
  return { ...trim, end: clamp(Math.round(frame), trim.start + 1, frames) };
}

/** The options of a trim: handles at the ends say nothing. */
export function trimOptions(trim: Trim, frames: number): Record<string, number> {
  const options: Record<string, number> = {};
  if (trim.start > 0) options["trim_frame_start"] = trim.start;
  if (trim.end < frames) options["trim_frame_end"] = trim.end;
  return options;
}

export interface View {
  scale: number;
  x: number;
  y: number;
}

export const WHOLE: View = { scale: 1, x: 0, y: 0 };

/** Zoom around a point (pixels from the stage's centre); what is under the point stays under it. */
export function zoomAt(view: View, factor: number, x: number, y: number): View {
  const scale = clamp(view.scale * factor, 1, 12);
  if (scale === 1) return WHOLE;
  const grown = scale / view.scale;
  return { scale, x: x - (x - view.x) * grown, y: y - (y - view.y) * grown };
}

/** Keep the picture in sight: it cannot be pushed past half of the stage. */
export function keepIn(view: View, width: number, height: number): View {
  if (view.scale <= 1) return WHOLE;
  const roomX = (width * (view.scale - 1)) / 2;
  const roomY = (height * (view.scale - 1)) / 2;
  return { scale: view.scale, x: clamp(view.x, -roomX, roomX), y: clamp(view.y, -roomY, roomY) };
}

/** Move one item of a list; places outside leave it as it is. */
export function moved<T>(items: readonly T[], from: number, to: number): T[] {
  const list = [...items];
  if (from < 0 || from >= list.length || to < 0 || to >= list.length) return list;
  list.splice(to, 0, ...list.splice(from, 1));
  return list;
}
