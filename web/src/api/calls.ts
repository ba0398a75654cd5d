/** Every question that the studio asks of the service. */

import { API, ask, call, lines, once, send } from "./client";
import type * as T from "./types";

const id = encodeURIComponent;

export const capabilities = () => ask<T.Capabilities>("GET", "capabilities");
export const health = () => ask<T.Health>("GET", "health");
export const system = () => ask<T.System>("GET", "system");

// assets
export const upload = (file: File, onProgress: (share: number) => void, signal?: AbortSignal) =>
  send<T.Asset>(`assets?name=${id(file.name)}`, file, onProgress, signal);
export const uploadFrom = (url: string) => ask<T.Asset>("POST", "assets", { json: { url } });
export const asset = (asset: string) => ask<T.Asset>("GET", `assets/${id(asset)}`);
export const contentUrl = (asset: string) => `${API}assets/${id(asset)}/content`;
export const frameUrl = (asset: string, frame: number, size: number) =>
  `${API}assets/${id(asset)}/thumbnail?size=${size}&frame=${frame}`;

// faces
export const detect = (asset: string, frame: number, options: T.Values, signal?: AbortSignal) =>
  ask<T.FaceList>("POST", "faces/detect", { json: { asset, frame, options, crops: true, crop_size: 160 }, signal });
export async function* timeline(asset: string, every: number, signal?: AbortSignal) {
  const answer = await call("POST", "faces/timeline", { json: { asset, every, thumbnails: true }, signal });
  yield* lines<T.TimelineEntry>(answer);
}

// work
export interface Preview {
  blob: Blob;
  faces: number;
  milliseconds: number;
  models: string[];
}
export async function preview(
  step: T.StepRequest,
  frame: number,
  size: number,
  group: string,
  signal?: AbortSignal,
): Promise<Preview> {
  const answer = await call("POST", "preview", {
    json: { ...step, frame, size },
    headers: { "X-Mien-Preview-Group": group },
    signal,
  });
  return {
    blob: await answer.blob(),
    faces: Number(answer.headers.get("x-mien-faces") ?? 0),
    milliseconds: Number(answer.headers.get("x-mien-milliseconds") ?? 0),
    models: (answer.headers.get("x-mien-models") ?? "").split(/[,\s]+/).filter(Boolean),
  };
}
export const estimate = (job: T.JobRequest, signal?: AbortSignal) =>
  ask<T.Estimate>("POST", "estimate", { json: job, signal });

// jobs
export const submit = (job: T.JobRequest) => ask<T.Job>("POST", "jobs", { json: job, headers: once() });
export const job = (job: string) => ask<T.Job>("GET", `jobs/${id(job)}`);
export const jobs = (query: Record<string, string>) => ask<T.JobPage>("GET", `jobs?${new URLSearchParams(query)}`);
export const cancel = (job: string) => ask<T.Job>("POST", `jobs/${id(job)}/cancel`);
export const retry = (job: string) => ask<T.Job>("POST", `jobs/${id(job)}/retry`, { headers: once() });
export const submitDraft = (job: string) => ask<T.Job>("POST", `jobs/${id(job)}/submit`, { headers: once() });
export const remove = (job: string) => call("DELETE", `jobs/${id(job)}`);
export const patch = (job: string, change: { priority: number }) =>
  ask<T.Job>("PATCH", `jobs/${id(job)}`, { json: change });
export const log = async (job: string) => (await call("GET", `jobs/${id(job)}/log`)).text();
export const addStep = (job: string, step: T.StepRequest, index?: number) =>
  ask<T.Job>("POST", `jobs/${id(job)}/steps${index === undefined ? "" : `?index=${index}`}`, {
    json: step,
    headers: once(),
  });
export const putStep = (job: string, index: number, step: T.StepRequest) =>
  ask<T.Job>("PUT", `jobs/${id(job)}/steps/${index}`, { json: step });
export const removeStep = (job: string, index: number) => ask<T.Job>("DELETE", `jobs/${id(job)}/steps/${index}`);
export const remix = (job: string, index: number, step: T.StepRequest) =>
  ask<T.Job>("POST", `jobs/${id(job)}/steps/${index}/remix`, { json: step, headers: once() });
export const resultUrl = (job: string, index: number, download = false) =>
  `${API}jobs/${id(job)}/result?index=${index}${download ? "&download=1" : ""}`;
export const jobEvents = (job: string) => new EventSource(`${API}jobs/${id(job)}/events`);
export const boardEvents = () => new EventSource(`${API}events`);

// batches
export const batch = (request: T.BatchRequest) =>
  ask<T.BatchCreated>("POST", "batches", { json: request, headers: once() });
export const readBatch = (batch: string, cursor: string | null) =>
  ask<T.Batch>("GET", `batches/${id(batch)}${cursor ? `?cursor=${id(cursor)}` : ""}`);
export const batches = () => ask<{ batches: T.Batch[] }>("GET", "batches");
export const cancelBatch = (batch: string) => call("POST", `batches/${id(batch)}/cancel`);
export const removeBatch = (batch: string) => call("DELETE", `batches/${id(batch)}`);
export const archiveUrl = (batch: string) => `${API}batches/${id(batch)}/archive`;

// models
export const models = () => ask<T.ModelEntry[] | { models: T.ModelEntry[] }>("GET", "models");
export const download = (models: string[]) =>
  ask<T.Job>("POST", "models/download", { json: { models }, headers: once() });
export const removeModel = (model: string) => call("DELETE", `models/${id(model)}`);

// the rest
export const benchmark = (request: T.BenchmarkRequest) =>
  ask<T.Job>("POST", "benchmark", { json: request, headers: once() });
export const benchmarkReport = async (job: string) =>
  (await (await call("GET", `jobs/${id(job)}/result?index=0`)).json()) as T.BenchmarkReport;
export const verify = (file: File) => {
  const body = new FormData();
  body.append("file", file, file.name);
  return ask<T.Verification>("POST", "verify", { body });
};
export const session = () => ask<T.Session>("GET", "session");
export const signIn = (key: string) => ask<T.Session>("POST", "session", { json: { key } });
export const signOut = () => call("DELETE", "session");
export const keys = () => ask<T.Key[] | { keys: T.Key[] }>("GET", "keys");
export const makeKey = (name: string, scopes: T.Scope[], expires_in: number | null) =>
  ask<T.KeyCreated>("POST", "keys", { json: { name, scopes, ...(expires_in ? { expires_in } : {}) } });
export const rotateKey = (key: string) => ask<T.KeyCreated>("POST", `keys/${id(key)}/rotate`);
export const revokeKey = (key: string) => call("DELETE", `keys/${id(key)}`);
export const liveUrl = () => {
  const url = new URL(`${API}live`, document.baseURI);
  url.protocol = url.protocol.replace("http", "ws");
  url.hash = "";
  return url.href;
};
