import { describe, expect, it } from "vitest";
import type { Option } from "../api/types";
import { controlOf, folded, matters, parsed, sidesOf, stepOf, withValue } from "./options";

function option(more: Partial<Option>): Option {
  return {
    key: "face_swapper_weight",
    type: "number",
    multiple: false,
    default: 0.5,
    choices: [],
    minimum: null,
    maximum: null,
    step: null,
    unit: null,
    title: "Weight",
    help: "",
    advanced: false,
    locked: false,
    ...more,
  };
}

describe("the control of an option", () => {
  it.each([
    [{ type: "boolean", default: true }, "switch"],
    [{ minimum: 0, maximum: 1 }, "slider"],
    [{ minimum: 0 }, "number"],
    [{ type: "string", default: "a", choices: ["a", "b", "c"] }, "segments"],
    [{ type: "string", default: null, choices: ["a", "b"] }, "select"],
    [{ type: "string", default: "a", choices: ["a", "b", "c", "d", "e"] }, "select"],
    [{ type: "string", default: "x", key: "face_swapper_model", choices: ["x", "y"] }, "select"],
    [{ type: "string", multiple: true, choices: ["a", "b"] }, "tags"],
    [{ type: "integer", multiple: true, default: [0, 0, 0, 0] }, "numbers"],
    [{ type: "string", default: null }, "text"],
  ] as [Partial<Option>, string][])("%j is a %s", (more, control) => {
    expect(controlOf(option(more))).toBe(control);
  });
});

describe("values", () => {
  it("leaves out what equals the default", () => {
    const weight = option({});
    expect(withValue({ other: 1 }, weight, 0.7)).toEqual({ other: 1, face_swapper_weight: 0.7 });
    expect(withValue({ face_swapper_weight: 0.7 }, weight, 0.5)).toEqual({});
    expect(withValue({ face_swapper_weight: 0.7 }, weight, null)).toEqual({});
  });

  it("compares lists by what they hold", () => {
    const padding = option({ key: "p", type: "integer", multiple: true, default: [0, 0, 0, 0] });
    expect(withValue({ p: [1, 0, 0, 0] }, padding, [0, 0, 0, 0])).toEqual({});
  });

  it("sends a model that was chosen, even if it is the usual one", () => {
    const model = option({ key: "face_swapper_model", type: "string", default: "hyperswap_1a_256" });
    expect(withValue({}, model, "hyperswap_1a_256")).toEqual({ face_swapper_model: "hyperswap_1a_256" });
    expect(withValue({ face_swapper_model: "mesh" }, model, null)).toEqual({});
  });

  it("reads typed numbers with comma and keeps them in range", () => {
    const weight = option({ minimum: 0, maximum: 1, step: 0.05 });
    expect(parsed(weight, "0,33")).toBe(0.35);
    expect(parsed(weight, "9")).toBe(1);
    expect(parsed(weight, "")).toBeNull();
    expect(parsed(weight, "much")).toBeNull();
    expect(parsed(option({ type: "integer", minimum: 0 }), "-3.4")).toBe(0);
  });

  it("finds a step where none is said", () => {
    expect([stepOf(option({ type: "integer" })), stepOf(option({ minimum: 0, maximum: 0.5 }))]).toEqual([1, 0.01]);
  });
});

describe("forms", () => {
  it("puts the model first and folds the rare away", () => {
    const list = [option({ key: "a_weight" }), option({ key: "a_model" }), option({ key: "a_rare", advanced: true })];
    const { plain, more } = folded(list);
    expect(plain.map((item) => item.key)).toEqual(["a_model", "a_weight"]);
    expect(more.map((item) => item.key)).toEqual(["a_rare"]);
  });

  it("shows mask areas only with the area mask", () => {
    const types = option({ key: "face_mask_types", multiple: true, default: ["box"] });
    const areas = option({ key: "face_mask_areas", multiple: true });
    expect(matters(areas, [types, areas], {})).toBe(false);
    expect(matters(areas, [types, areas], { face_mask_types: ["box", "area"] })).toBe(true);
  });
});

describe("sizes", () => {
  it.each([
    ["512x768", [512, 768]],
    [" 64 × 48 ", [64, 48]],
    ["512", null],
    ["x", null],
    [null, null],
  ] as const)("%s", (text, sides) => expect(sidesOf(text)).toEqual(sides));
});
