/** How mien is started so that it computes on something else. */

export function startLine(provider: string, threads: number): string {
  const providers = provider === "cpu" ? "cpu" : `${provider},cpu`;
  const count = Number.isInteger(threads) && threads > 0 ? ` MIEN_THREADS=${threads}` : "";
  return `MIEN_PROVIDERS=${providers}${count} mien serve`;
}
