/** What a form has to know of an option, and which values are worth sending. */

import type { Option, Value, Values } from "../api/types";
import { snap } from "./range";

export type Control = "switch" | "segments" | "select" | "tags" | "slider" | "number" | "numbers" | "text" | "area" | "size" | "seed";

/** What is asked for: an option, or something like it that says itself how. */
export type Field = Option & { control?: Control; required?: boolean };

/** Steps from which on nobody hits a place of a slider. */
const FINE = 4000;

export function controlOf(option: Field): Control {
  if (option.control) return option.control;
  const choices = option.choices ?? [];
  if (option.multiple) return choices.length ? "tags" : option.type === "string" ? "text" : "numbers";
  if (option.type === "boolean") return "switch";
  if (choices.length) {
    const letters = choices.reduce<number>((sum, choice) => sum + String(choice).length, 0);
    return choices.length <= 4 && letters <= 26 && defaultOf(option) !== null ? "segments" : "select";
  }
  if (option.type === "integer" || option.type === "number") {
    if (option.minimum == null || option.maximum == null) return "number";
    return (option.maximum - option.minimum) / stepOf(option) > FINE ? "number" : "slider";
  }
  return "text";
}

export function stepOf(option: Option): number {
  if (option.step) return option.step;
  if (option.type === "integer") return 1;
  const span = (option.maximum ?? 1) - (option.minimum ?? 0);
  return span <= 1 ? 0.01 : span <= 20 ? 0.1 : 1;
}

export function same(a: Value | undefined, b: Value | undefined): boolean {
  if (Array.isArray(a) && Array.isArray(b)) return a.length === b.length && a.every((item, index) => item === b[index]);
  return (a ?? null) === (b ?? null);
}

/** What an option is when nothing is said: without the name of a model, the service takes the best one that is there. */
export function defaultOf(option: Option): Value {
  return option.key.endsWith("_model") ? null : ((option.default ?? null) as Value);
}

/** The values with one changed; what equals the default is left out, so that a recipe says only what it means. */
export function withValue(values: Values, option: Option, value: Value): Values {
  const next = { ...values };
  if (value === null || same(value, defaultOf(option))) delete next[option.key];
  else next[option.key] = value;
  return next;
}

/** A typed number as the option takes it; null where there is none. */
export function parsed(option: Option, text: string): number | null {
  const number = Number(text.replace(",", "."));
  if (text.trim() === "" || !Number.isFinite(number)) return null;
  const whole = option.type === "integer" ? Math.round(number) : number;
  if (option.minimum != null && option.maximum != null) {
    return snap(whole, option.minimum, option.maximum, option.type === "integer" ? 1 : stepOf(option));
  }
  return option.minimum == null ? whole : Math.max(whole, option.minimum);
}

/** Width and height of "512x768"; null for what is no size. */
export function sidesOf(text: Value | undefined): [number, number] | null {
  const found = /^\s*(\d{1,5})\s*[x×]\s*(\d{1,5})\s*$/.exec(String(text ?? ""));
  return found ? [Number(found[1]), Number(found[2])] : null;
}

/** Options of a form in two parts: always shown, and folded away. Model first: it decides about the rest. */
export function folded(options: readonly Field[]): { plain: Field[]; more: Field[] } {
  const rank = (option: Field) => (option.key.endsWith("_model") ? 0 : 1);
  const sorted = [...options].sort((a, b) => rank(a) - rank(b));
  return { plain: sorted.filter((option) => !option.advanced), more: sorted.filter((option) => option.advanced) };
}

const NEEDS: Readonly<Record<string, readonly [string, string]>> = {
  face_mask_areas: ["face_mask_types", "area"],
  face_mask_regions: ["face_mask_types", "region"],
  face_parser_model: ["face_mask_types", "region"],
  face_occluder_model: ["face_mask_types", "occlusion"],
  face_mask_blur: ["face_mask_types", "box"],
  face_mask_padding: ["face_mask_types", "box"],
  reference_face_position: ["face_selector_mode", "reference"],
  reference_face_distance: ["face_selector_mode", "reference"],
  reference_frame_number: ["face_selector_mode", "reference"],
};

/** Whether an option can matter: mask areas do only where the area mask is chosen, and so on. */
export function matters(option: Option, all: readonly Option[], values: Values): boolean {
  const needs = NEEDS[option.key];
  if (!needs) return true;
  const other = all.find((item) => item.key === needs[0]);
  const value = values[needs[0]] ?? (other?.default as Value | undefined);
  return Array.isArray(value) ? value.includes(needs[1]) : value === needs[1];
}
