/** Recipes with a name, kept in the browser; files of them can be exchanged. */

import type { Recipe } from "./step";

export interface Preset extends Recipe {
  name: string;
}

const PLACE = "mien.presets";
const KIND = "mien-presets";

export function load(storage: Pick<Storage, "getItem">): Preset[] {
  try {
    return parse(storage.getItem(PLACE) ?? "");
  } catch {
    return [];
  }
}

export function save(storage: Pick<Storage, "setItem">, presets: readonly Preset[]): void {
  storage.setItem(PLACE, written(presets));
}

export function written(presets: readonly Preset[]): string {
  return JSON.stringify({ kind: KIND, version: 1, presets }, null, 2);
}

/** Read a file of presets. Throws an Error where it is none. */
export function parse(text: string): Preset[] {
  const data = JSON.parse(text) as { kind?: unknown; presets?: unknown };
  if (data?.kind !== KIND || !Array.isArray(data.presets)) throw new Error("not a file of presets");
  return data.presets.filter(isPreset).map(({ name, processors, options }) => ({ name, processors, options }));
}

function isPreset(value: unknown): value is Preset {
  const item = value as Preset | null;
  return (
    typeof item?.name === "string" &&
    Array.isArray(item.processors) &&
    item.processors.every((name) => typeof name === "string") &&
    typeof item.options === "object" &&
    item.options !== null
  );
}

/** Add, or replace the one of the same name; sorted by name. */
export function withPreset(presets: readonly Preset[], preset: Preset): Preset[] {
  return [...presets.filter((item) => item.name !== preset.name), preset].sort((a, b) => a.name.localeCompare(b.name));
}
