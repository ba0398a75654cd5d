/** Speaks HTTP with the service. All addresses are relative, so that the studio works below any path. */

export const API = "api/v1/";

export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly details: { field?: string; message: string }[] = [],
    readonly requestId: string | null = null,
    readonly retryAfter: number | null = null,
  ) {
    super(message);
  }
}

/** True for what an AbortController stopped, and for a preview that a newer one replaced. */
export function isAborted(error: unknown): boolean {
  if (error instanceof ApiError) return error.code === "canceled";
  return error instanceof DOMException && error.name === "AbortError";
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

interface Call {
  json?: unknown;
  body?: BodyInit;
  headers?: Record<string, string>;
  signal?: AbortSignal;
}

export async function errorOf(answer: Response): Promise<ApiError> {
  let body: { error?: { code?: string; message?: string; details?: []; request_id?: string } } = {};
  try {
    body = (await answer.json()) as typeof body;
  } catch {
    // A proxy may answer with a page; the status says enough.
  }
  const retry = Number(answer.headers.get("retry-after"));
  return new ApiError(
    answer.status,
    body.error?.code ?? "http_error",
    body.error?.message ?? `${answer.status} ${answer.statusText}`,
    body.error?.details ?? [],
    body.error?.request_id ?? answer.headers.get("x-request-id"),
    Number.isFinite(retry) && retry > 0 ? retry : null,
  );
}

/** Ask, and give the answer as it is. Throws ApiError for every status from 400. */
export async function call(method: string, path: string, { json, body, headers, signal }: Call = {}): Promise<Response> {
  let answer: Response;
  try {
    answer = await fetch(API + path, {
      method,
      headers: { ...(json === undefined ? {} : { "Content-Type": "application/json" }), ...headers },
      body: json === undefined ? body : JSON.stringify(json),
      signal,
      credentials: "same-origin",
    });
  } catch (error) {
    if (isAborted(error)) throw error;
    throw new ApiError(0, "unreachable", "The service does not answer; check that it runs, then try again.");
  }
  if (!answer.ok) throw await errorOf(answer);
  return answer;
}

export async function ask<T>(method: string, path: string, more: Call = {}): Promise<T> {
  const answer = await call(method, path, more);
  return answer.status === 204 ? (undefined as T) : ((await answer.json()) as T);
}

/** A key for one user's action: repeating the request after a broken connection does not do it twice. */
export function once(): Record<string, string> {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return { "Idempotency-Key": Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("") };
}

/** Send a file, telling the share that has gone out; fetch cannot tell. */
export function send<T>(path: string, file: Blob, onProgress: (share: number) => void, signal?: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", API + path);
    request.setRequestHeader("Content-Type", file.type || "application/octet-stream");
    request.upload.onprogress = (event) => event.lengthComputable && onProgress(event.loaded / event.total);
    request.onload = () => {
      if (request.status < 400) return resolve(JSON.parse(request.responseText) as T);
      const answer = new Response(request.responseText, { status: request.status, statusText: request.statusText });
      errorOf(answer).then(reject, reject);
    };
    request.onerror = () =>
      reject(new ApiError(0, "unreachable", "The file could not be sent; check the connection, then try again."));
    request.onabort = () => reject(new DOMException("stopped", "AbortError"));
    signal?.addEventListener("abort", () => request.abort());
    request.send(file);
  });
}

/** The objects of a stream of JSON lines, as they come. */
export async function* lines<T>(answer: Response): AsyncGenerator<T> {
  const reader = answer.body!.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    const parts = (rest + (value ?? "")).split("\n");
    rest = done ? "" : (parts.pop() ?? "");
    for (const part of parts) if (part.trim()) yield JSON.parse(part) as T;
    if (done) return;
  }
}
