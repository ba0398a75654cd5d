import { describe, expect, it } from "vitest";
import type { JobStep } from "../api/types";
import { requestOf } from "./steps";

const none = { index: 0, status: "drafted", processors: [], sources: [], target: null, options: {}, face_map: [], output: {}, resolution: null, workflow: null, failure: null, frames: null, faces: null, seconds: null, notices: [], models: [] };
const step = (more: object) => ({ ...none, ...more }) as unknown as JobStep;

describe("a step that is asked for again", () => {
  it("says what the face engine does", () => {
    const request = requestOf(step({ processors: ["face_swapper"], sources: ["a"], target: "b", output: { name: "x.png" } }));
    expect(request).toMatchObject({ processors: ["face_swapper"], sources: ["a"], target: "b", output: { name: "x.png" } });
    expect(request.workflow).toBeUndefined();
  });

  it("has the pictures of a workflow among its parameters", () => {
    const workflow = { name: "blend", version: 2, parameters: { strength: 1 }, images: ["mask"], target: "image" };
    expect(requestOf(step({ workflow, sources: ["m"], target: "t" }))).toEqual({
      workflow: { name: "blend", parameters: { strength: 1, mask: "m", image: "t" } },
    });
    expect(requestOf(step({ workflow, sources: ["m"], target: { step: 0 } }))).toEqual({
      workflow: { name: "blend", parameters: { strength: 1, mask: "m" } },
      target: { step: 0 },
    });
  });
});
