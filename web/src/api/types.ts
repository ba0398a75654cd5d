/** Names for the types that are generated from the service's OpenAPI document. */

import type { components } from "./schema";

type Schemas = components["schemas"];

/** An answer: the service fills in every field, also those that have a default in its description. */
type Full<T> = T extends (infer Item)[] ? Full<Item>[] : T extends object ? { [K in keyof T]-?: Full<T[K]> } : T;
type Answer<Name extends keyof Schemas> = Full<Schemas[Name]>;

export type Asset = Answer<"Asset">;
export type Batch = Answer<"Batch">;
export type BatchCreated = Answer<"BatchCreated">;
export type Capabilities = Answer<"Capabilities">;
export type Estimate = Answer<"Estimate">;
export type Face = Answer<"FoundFace">;
export type FaceList = Answer<"FaceList">;
export type FaceMapping = Schemas["FaceAssignment"];
export type Health = Answer<"Health">;
export type Job = Answer<"Job">;
export type JobPage = Answer<"JobPage">;
export type JobResult = Answer<"JobResult">;
export type JobState = Job["status"];
export type JobStep = Answer<"JobStep">;
export type Key = Answer<"Key">;
export type KeyCreated = Answer<"KeyCreated">;
export type ModelEntry = Answer<"ModelEntry">;
export type Option = Answer<"OptionEntry">;
export type OptionGroup = Answer<"OptionGroup">;
export type ProcessorEntry = Answer<"ProcessorEntry">;
export type Progress = NonNullable<Job["progress"]>;
export type Scope = Key["scopes"][number];
export type Session = Answer<"Session">;
export type System = Answer<"System">;
export type TimelineEntry = Answer<"TimelineEntry">;
export type Workflow = Answer<"WorkflowEntry">;
export type WorkflowParameter = Workflow["parameters"][number];
export type Verification = Answer<"Verification">;

export type Scalar = boolean | number | string;
export type Value = Scalar | Scalar[] | null;
export type Values = Record<string, Value>;
export type Target = string | { step: number };

// What has a default may be left out of a request; the generator describes requests as the service sees them.
export type StepRequest = Partial<Omit<Schemas["StepRequest"], "output">> & { output?: Partial<Schemas["OutputRequest"]> };
export type JobRequest = Partial<Omit<Schemas["JobRequest"], "steps">> & { steps?: StepRequest[] };
export type BatchRequest = Partial<Omit<Schemas["BatchRequest"], "settings">> & {
  settings?: Partial<Schemas["BatchSettings"]>[];
};
export type BenchmarkRequest = Partial<Schemas["BenchmarkRequest"]>;

/** One size, as the events and the result of a benchmark tell it. */
export interface BenchmarkRow {
  target_path: string;
  cycle_count: number;
  average_run: number;
  fastest_run: number;
  slowest_run: number;
  relative_fps: number;
  first_run: number | null;
  frames: number;
  models: string[];
}
export interface BenchmarkReport {
  processors: string[];
  results: BenchmarkRow[];
}
