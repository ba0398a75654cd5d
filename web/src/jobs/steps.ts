/** From a step as the service shows it back to a step as it is asked for. */

import type { JobStep, StepRequest, Target, Values } from "../api/types";

export function requestOf(step: JobStep): StepRequest {
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
  if (step.workflow) request.workflow = step.workflow as StepRequest["workflow"];
  return request;
}
