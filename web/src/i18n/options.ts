/** What the service calls its options, in the language of the user; its own English where there is nothing else. */

import { choices, groups, options, processors } from "./options.de";
import { locale } from "./index.svelte";

const german = () => locale.current === "de";

export function optionTitle({ key, title }: { key: string; title: string }): string {
  return (german() && options[key]?.[0]) || title;
}

export function optionHelp({ key, help }: { key: string; help: string }): string {
  return (german() && options[key]?.[1]) || help;
}

export function groupTitle({ name, title }: { name: string; title: string }): string {
  return (german() && groups[name]) || title;
}

export function aboutProcessor({ name, description }: { name: string; description: string }): string {
  return (german() && processors[name]) || description;
}

/** A value to choose; names of models are the same everywhere. */
export function choiceLabel(key: string, choice: string | number | boolean): string {
  if (typeof choice !== "string") return String(choice);
  const words = german() && key in options && !key.endsWith("_model") ? choices[choice] : undefined;
  return words ?? choice.replaceAll("_", " ");
}
