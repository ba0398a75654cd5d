import { describe, expect, it } from "vitest";
import type { Workflow, WorkflowParameter } from "../api/types";
import { controlOf } from "./options";
import { callOf, fieldOf, filledOf, keyed, lacking, named, type Pictures } from "./workflow";

function parameter(name: string, type: WorkflowParameter["type"], more: Partial<WorkflowParameter> = {}): WorkflowParameter {
  const none = { title: "", description: "", required: false, default: null, min: null, max: null, step: null, choices: [] };
  return { name, type, ...none, ...more } as WorkflowParameter;
}

const upscale: Workflow = {
  name: "upscale",
  version: 1,
  title: "",
  description: "",
  environments: ["comfyui:comfyui"],
  available: true,
  parameters: [
    parameter("mask", "image"),
    parameter("image", "image", { required: true }),
    parameter("scale", "float", { default: 2, min: 1, max: 8 }),
    parameter("prompt", "str", { required: true, max: 4000 }),
  ],
};

describe("a form of parameters", () => {
  it.each([
    [parameter("a", "float", { min: 0, max: 30, default: 8 }), "slider"],
    [parameter("a", "int"), "number"],
    [parameter("a", "int", { min: 1, max: 100_000 }), "number"],
    [parameter("a", "bool", { default: false }), "switch"],
    [parameter("a", "choice"), "text"],
    [parameter("a", "choice", { choices: ["one", "two"], default: "one" }), "segments"],
    [parameter("a", "str", { max: 20 }), "text"],
    [parameter("a", "str"), "area"],
    [parameter("a", "seed"), "seed"],
    [parameter("a", "resolution", { default: "512x512" }), "size"],
  ] as const)("asks for %o with a %s", (given, control) => {
    expect(controlOf(fieldOf(given))).toBe(control);
  });

  it("keeps the names of parameters apart from those of options", () => {
    expect(fieldOf(parameter("upscale_model", "choice", { default: "a.pth" })).key).not.toMatch(/_model$/);
    expect(named(keyed({ upscale_model: "a.pth" }))).toEqual({ upscale_model: "a.pth" });
  });

  it("has a title where the workflow gives none", () => {
    expect(fieldOf(parameter("negative_prompt", "str")).title).toBe("Negative prompt");
  });
});

describe("the step of a workflow", () => {
  it("says what is still needed", () => {
    expect(lacking(upscale, {}, {})?.name).toBe("image");
    expect(lacking(upscale, {}, { image: "x" })?.name).toBe("prompt");
    expect(lacking(upscale, { prompt: "" }, { image: "x" })?.name).toBe("prompt");
    expect(lacking(upscale, { prompt: "a" }, { image: "x" })).toBeNull();
  });

  it("needs all pictures behind the result of a step, which goes into the last free one", () => {
    expect(lacking(upscale, { prompt: "a" }, { image: "x", mask: { step: 0 } })).toBeNull();
    const optional = { ...upscale, parameters: [upscale.parameters[1]!, upscale.parameters[0]!] };
    expect(lacking(optional, {}, { image: { step: 0 } })?.name).toBe("mask");
  });

  it("goes there and back", () => {
    const values = { scale: 3, prompt: "a" };
    const both: Pictures[] = [{ image: "x" }, { mask: "m", image: { step: 1 } }];
    for (const pictures of both) {
      const step = callOf(upscale, values, pictures);
      expect(filledOf(upscale, step)).toEqual({ values, pictures });
    }
    expect(callOf(upscale, {}, { mask: "m", image: { step: 1 } })).toEqual({
      workflow: { name: "upscale", parameters: { mask: "m" } },
      target: { step: 1 },
    });
  });
});
