import { describe, expect, it } from "vitest";
import { catalogue } from "./catalogue";

const sources = import.meta.glob("../**/*.{svelte,ts}", { eager: true, query: "?raw", import: "default" }) as Record<string, string>;
const holes = (text: string) => [...text.matchAll(/\{(\w+)\}/g)].map((match) => match[1]).sort();

describe("the catalogue", () => {
  it.each(Object.entries(catalogue))("%s is complete in both languages", (_, texts) => {
    expect(texts).toHaveLength(2);
    for (const text of texts) expect(text.trim()).not.toBe("");
    expect(holes(texts[1])).toEqual(holes(texts[0]));
  });

  it("holds nothing that no page uses", () => {
    const said = Object.entries(sources)
      .filter(([path]) => !path.includes("catalogue"))
      .map(([, text]) => text)
      .join("\n");
    // Keys that are put together, such as state.${status}, or named("processor", …).
    const built = [...said.matchAll(/t\(\s*`([a-z.]+)\$\{/g), ...said.matchAll(/named\("([a-z.]+)"/g)].map((match) => match[1]!);
    const prefixes = [...built.map((name) => (name.endsWith(".") ? name : `${name}.`)), "tour."];
    const unused = Object.keys(catalogue).filter(
      (key) => !said.includes(`"${key}"`) && !said.includes(`'${key}'`) && !prefixes.some((prefix) => key.startsWith(prefix)),
    );
    expect(unused).toEqual([]);
  });
});
