/** The place in the studio, kept behind the # of the address: it works below any path of a proxy. */

export const PLACES = ["workbench", "live", "jobs", "models", "verify", "system", "settings"] as const;
export type Place = (typeof PLACES)[number];

class Router {
  place: Place = $state("workbench");
  rest: string | null = $state(null);

  begin(): void {
    this.read();
    addEventListener("hashchange", () => {
      this.read();
      document.getElementById("main")?.focus({ preventScroll: true });
    });
  }

  go(place: Place, rest?: string): void {
    location.hash = `#/${place}${rest ? `/${rest}` : ""}`;
  }

  private read(): void {
    const [, place, rest] = location.hash.split("/");
    this.place = PLACES.find((name) => name === place) ?? "workbench";
    this.rest = rest ? decodeURIComponent(rest) : null;
  }
}

export const router = new Router();
