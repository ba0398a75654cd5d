/** From a step as the service shows it back to a step as it is asked for. */

import type { JobStep, StepRequest, Target, Values } from "../api/types";

/** What the service notes of a step that runs a workflow; the pictures lie beside it. */
interface Called {
  name: string;
  parameters: Record<string, unknown>;
  /** Parameters that the sources are for, in order. */
  images: string[];
  /** The parameter that the target is for. */
  target: string | null;
}

export function requestOf(step: JobStep): StepRequest {
  if (step.workflow) return callOf(step, step.workflow as unknown as Called);
  const request: StepRequest = {
    processors: step.processors,
    sources: step.sources,
    target: step.target as Target | null,
    options: step.options as Values,
    face_map: step.face_map as StepRequest["face_map"],
  };
  const { name, format } = step.output;
  if (name || format) request.output = { ...(name ? { name } : {}), ...(format ? { format } : {}) };
  if (step.resolution) request.resolution = step.resolution;
  return request;
}

function callOf(step: JobStep, called: Called): StepRequest {
  const pictures = called.images.map((name, at) => [name, step.sources[at]] as const);
  const parameters: Record<string, unknown> = { ...called.parameters, ...Object.fromEntries(pictures) };
  const request: StepRequest = { workflow: { name: called.name, parameters } };
  if (typeof step.target === "object" && step.target !== null) request.target = step.target as Target;
  else if (called.target && step.target) parameters[called.target] = step.target;
  if (step.output["name"]) request.output = { name: step.output["name"] };
  return request;
}
