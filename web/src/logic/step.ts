/** From what is on the workbench to what is asked of the service. */

import type { FaceMapping, StepRequest, Target, Values } from "../api/types";
import { type Trim, trimOptions } from "./range";

export interface Recipe {
  processors: string[];
  options: Values;
}

/** Who is put onto one face of the target. */
export interface Mapped {
  /** Identity of the face: "f<frame>-x1-y1-x2-y2". */
  face: string;
  frame: number;
  crop: string | null;
  /** Keys of sources. */
  sources: string[];
}

export interface Bench {
  recipe: Recipe;
  sources: { key: string; asset: string | null; kind: string }[];
  target: { asset: string; kind: string; frames: number } | { step: number };
  mapped: Mapped[];
  trim: Trim | null;
  output: { format?: string; name?: string };
  resolution?: string;
}

/** Keys that belong to a processor which is not in the list; sending them would be refused as having no effect. */
export function usedOptions(recipe: Recipe, known: Readonly<Record<string, readonly string[]>>): Values {
  const idle = new Set<string>();
  const used = new Set(recipe.processors.flatMap((name) => known[name] ?? []));
  for (const keys of Object.values(known)) for (const key of keys) if (!used.has(key)) idle.add(key);
  return Object.fromEntries(Object.entries(recipe.options).filter(([key]) => !idle.has(key)));
}

export function stepOf(bench: Bench, known: Readonly<Record<string, readonly string[]>> = {}): StepRequest {
  const ready = bench.sources.filter((source) => source.asset !== null);
  const asset = new Map(ready.map((source) => [source.key, source.asset as string]));
  const options: Values = usedOptions(bench.recipe, known);
  const clip = "frames" in bench.target && bench.target.kind === "video" && bench.trim;
  if (clip) Object.assign(options, trimOptions(bench.trim!, (bench.target as { frames: number }).frames));
  const target: Target = "step" in bench.target ? { step: bench.target.step } : bench.target.asset;
  const map = faceMap(bench.mapped, asset);
  // Where the map says who gets which face, a picture outside it would go to nobody.
  const used = map.length ? ready.filter((source) => source.kind === "audio") : ready;
  const step: StepRequest = {
    processors: [...bench.recipe.processors],
    sources: used.map((source) => source.asset as string),
    target,
    options,
  };
  if (map.length) step.face_map = map;
  if (bench.output.format || bench.output.name) step.output = { ...bench.output };
  if (bench.resolution) step.resolution = bench.resolution;
  return step;
}

function faceMap(mapped: readonly Mapped[], asset: ReadonlyMap<string, string>): FaceMapping[] {
  return mapped
    .map(({ face, sources }) => ({ face, sources: sources.flatMap((key) => asset.get(key) ?? []) }))
    .filter((entry) => entry.sources.length > 0);
}

/** Put a source on a face, or take it away; a face without sources is not in the list. */
export function toggled(mapped: readonly Mapped[], face: Omit<Mapped, "sources">, source: string): Mapped[] {
  const old = mapped.find((entry) => entry.face === face.face);
  if (!old) return [...mapped, { ...face, sources: [source] }];
  const sources = old.sources.includes(source) ? old.sources.filter((key) => key !== source) : [...old.sources, source];
  return mapped
    .map((entry) => (entry === old ? { ...entry, sources } : entry))
    .filter((entry) => entry.sources.length > 0);
}

/** After a source has gone. */
export function withoutSource(mapped: readonly Mapped[], source: string): Mapped[] {
  return mapped
    .map((entry) => ({ ...entry, sources: entry.sources.filter((key) => key !== source) }))
    .filter((entry) => entry.sources.length > 0);
}

export type Missing = "target" | "source" | "audio" | "processor" | "uploads";

/** What is still missing before anything can be done, most important first. */
export function missing(
  bench: Omit<Bench, "target"> & { target: Bench["target"] | null },
  needs: Readonly<Record<string, string | null>>,
): Missing | null {
  if (!bench.target) return "target";
  if (!bench.recipe.processors.length) return "processor";
  if (bench.sources.some((source) => source.asset === null)) return "uploads";
  const wanted = new Set(bench.recipe.processors.map((name) => needs[name] ?? null));
  if (wanted.has("face") && !bench.sources.some((source) => source.kind === "image")) return "source";
  if (wanted.has("audio") && !bench.sources.some((source) => source.kind === "audio")) return "audio";
  return null;
}

/** Formats in which a target of that kind may be written. */
export function formatsFor(kind: string, formats: Readonly<Record<string, readonly string[]>>): readonly string[] {
  return formats[kind] ?? [];
}
