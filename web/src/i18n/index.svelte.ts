/** Texts in the language of the user. */

import { catalogue, type Text } from "./catalogue";

export type Language = "en" | "de";
export const LANGUAGES: readonly (readonly [Language, string])[] = [
  ["en", "English"],
  ["de", "Deutsch"],
];

const PLACE = "mien.language";

function first(): Language {
  const kept = localStorage.getItem(PLACE);
  if (kept === "en" || kept === "de") return kept;
  return navigator.language.startsWith("de") ? "de" : "en";
}

class Locale {
  current: Language = $state(first());

  use(language: Language): void {
    this.current = language;
    localStorage.setItem(PLACE, language);
  }
}

export const locale = new Locale();

/** The text, with {names} replaced. */
export function t(text: Text, values: Readonly<Record<string, string | number>> = {}): string {
  const [english, german] = catalogue[text];
  const found = locale.current === "de" ? german : english;
  return found.replace(/\{(\w+)\}/g, (whole, name: string) => String(values[name] ?? whole));
}

/** "1 face", "3 faces": the texts `name.one` and `name.many`. */
export function plural(count: number, one: Text, many: Text): string {
  return t(count === 1 ? one : many, { n: count.toLocaleString(locale.current) });
}

/** The text of a name that the service says, such as a processor; the service's own words where there is none. */
export function named(prefix: string, name: string, otherwise: string): string {
  const key = `${prefix}.${name}`;
  return key in catalogue ? t(key as Text) : otherwise;
}
