/** What all pages share: who is calling, what the service can do, the models, messages, theme. */

import { capabilities, models, session } from "../api/calls";
import { ApiError, messageOf } from "../api/client";
import type { Capabilities, ModelEntry, Session, Values } from "../api/types";

export type Theme = "auto" | "light" | "dark";

export interface Toast {
  id: number;
  kind: "good" | "bad";
  text: string;
  link?: { href: string; text: string };
}

const THEME = "mien.theme";
const TOUR = "mien.tour";

class App {
  theme: Theme = $state("auto");
  session: Session | null = $state(null);
  capabilities: Capabilities | null = $state.raw(null);
  models: ModelEntry[] = $state.raw([]);
  reachable = $state(true);
  /** How often the service came back after it was away; what is shown is then asked for anew. */
  returns = $state(0);
  locked = $state(false);
  tour = $state(false);
  toasts: Toast[] = $state([]);
  private lastToast = 0;
  private timer = 0;

  /** Keys of each processor's options. */
  readonly keysOf: Record<string, string[]> = $derived(
    Object.fromEntries((this.capabilities?.processors ?? []).map((p) => [p.name, p.options.map((o) => o.key)])),
  );
  /** What each processor wants of the sources: "face", "audio" or null. */
  readonly needs: Record<string, string | null> = $derived(
    Object.fromEntries((this.capabilities?.processors ?? []).map((p) => [p.name, (p.needs["source"] as string) ?? null])),
  );
  readonly isAdmin = $derived(this.session?.scopes.includes("admin") ?? false);

  begin(): void {
    const kept = localStorage.getItem(THEME);
    this.useTheme(kept === "light" || kept === "dark" ? kept : "auto");
    this.tour = localStorage.getItem(TOUR) === null;
    void this.connect();
  }

  /** Ask until the service answers; what is shown depends on what it can do. */
  async connect(): Promise<void> {
    window.clearTimeout(this.timer);
    try {
      this.session = await session();
      this.locked = this.session.auth_required && !this.session.authenticated;
      if (!this.locked) {
        this.capabilities = await capabilities();
        await this.loadModels();
      }
      if (!this.reachable) this.returns += 1;
      this.reachable = true;
    } catch (error) {
      if (error instanceof ApiError && error.status === 401) this.locked = true;
      else {
        this.reachable = false;
        this.timer = window.setTimeout(() => void this.connect(), 2000);
      }
    }
  }

  async loadModels(): Promise<void> {
    const answer = await models();
    this.models = Array.isArray(answer) ? answer : answer.models;
  }

  /** Ask who is calling, after something failed: the service may be away, or the session over. */
  async check(): Promise<void> {
    if (!this.reachable) return;
    try {
      const now = await session();
      this.locked = now.auth_required && !now.authenticated;
    } catch {
      this.lost();
    }
  }

  /** The service does not answer: what is on the page stays, and is told to be old, until it does. */
  lost(): void {
    if (!this.reachable) return;
    this.reachable = false;
    void this.connect();
  }

  useTheme(theme: Theme): void {
    this.theme = theme;
    if (theme === "auto") delete document.documentElement.dataset["theme"];
    else document.documentElement.dataset["theme"] = theme;
    if (theme === "auto") localStorage.removeItem(THEME);
    else localStorage.setItem(THEME, theme);
  }

  endTour(): void {
    this.tour = false;
    localStorage.setItem(TOUR, "seen");
  }

  /** Milliseconds of a movement; none where the user wants none. */
  calm(milliseconds: number): number {
    return matchMedia("(prefers-reduced-motion: reduce)").matches ? 0 : milliseconds;
  }

  say(text: string, link?: Toast["link"]): void {
    this.push({ kind: "good", text, link });
  }

  fail(error: unknown): void {
    if (error instanceof ApiError && error.status === 401) this.locked = true;
    // The page says by itself that the service is away.
    else if (error instanceof ApiError && error.code === "unreachable") return this.lost();
    this.push({ kind: "bad", text: messageOf(error) });
  }

  dismiss(id: number): void {
    this.toasts = this.toasts.filter((toast) => toast.id !== id);
  }

  private push(toast: Omit<Toast, "id">): void {
    const id = ++this.lastToast;
    this.toasts = [...this.toasts.slice(-3), { ...toast, id }];
    setTimeout(() => this.dismiss(id), toast.kind === "bad" ? 12000 : 6000);
  }

  /** Models that the options name and that are not on the service's machine. */
  missingModels(options: Values): ModelEntry[] {
    return Object.entries(options)
      .filter(([key]) => key.endsWith("_model"))
      .flatMap(([key, value]) => this.modelFor(key, value) ?? [])
      .filter((model) => !model.installed);
  }

  /** The model behind the value of an option such as face_swapper_model. */
  modelFor(key: string, value: unknown): ModelEntry | null {
    const processor = key.replace(/_model$/, "");
    const name = String(value);
    return (
      this.models.find((m) => m.id === name && m.processors.includes(processor)) ??
      this.models.find((m) => m.id === name || m.id === `${processor}_${name}` || m.id.endsWith(`/${name}`)) ??
      null
    );
  }
}

export const app = new App();
