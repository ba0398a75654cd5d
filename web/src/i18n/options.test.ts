import { describe, expect, it } from "vitest";
import declared from "../../../docs/options.md?raw";
import { choices, groups, options, processors } from "./options.de";

/** Groups of the command line that are no matter of a step. */
const ELSEWHERE = ["Files", "Consent", "Execution", "Downloads", "Memory", "Messages"];

const snake = (words: string) => words.toLowerCase().replaceAll(/[ -]/g, "_");
const sections = declared
  .split(/^## /m)
  .slice(1)
  .filter((section) => !ELSEWHERE.includes(section.split("\n")[0]!));
const keys = sections.flatMap((section) => [...section.matchAll(/^\|.*?`--(?:\[no-\])?([a-z0-9-]+)`/gm)].map((match) => snake(match[1]!)));

describe("German for the options", () => {
  it("is there for every option, and for none that is not", () => {
    expect(keys.length).toBeGreaterThan(100);
    expect(Object.keys(options).sort()).toEqual(keys.sort());
  });

  it.each(Object.entries(options))("of %s says name and help", (_, [name, help]) => {
    expect(name).toMatch(/^[A-ZÄÖÜ]/);
    expect(help).toMatch(/\.$/);
  });

  it("is there for every group and processor", () => {
    const names = sections.map((section) => snake(section.split("\n")[0]!));
    expect(names.filter((name) => !(name in groups) && !(name in processors))).toEqual([]);
    expect([...Object.keys(groups), ...Object.keys(processors)].filter((name) => !names.includes(name))).toEqual([]);
  });

  it("has no word for a choice that is offered nowhere", () => {
    const offered = new Set([...sections.join("\n").matchAll(/`([a-z0-9/-]+)`/g)].map((match) => match[1]!));
    expect(Object.keys(choices).filter((choice) => !offered.has(choice))).toEqual([]);
  });
});
