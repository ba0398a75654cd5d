/** From a workflow that the service knows to a form, and from the form to a step. */

import type { StepRequest, Target, Value, Values, Workflow, WorkflowParameter } from "../api/types";
import type { Field } from "./options";

/** Parameters may be called like options, and forms know those by their keys. */
const OWN = ".parameter";
/** Characters from which on a text gets more than a line. */
const LONG = 200;
/** Characters that a text may have where the workflow does not say. */
const LONGEST = 10_000;

const TYPES = {
  str: "string",
  int: "integer",
  float: "number",
  bool: "boolean",
  choice: "string",
  seed: "integer",
  resolution: "string",
} as const;

export const isPicture = (parameter: WorkflowParameter) => parameter.type === "image";

export const titleOf = (parameter: WorkflowParameter) =>
  parameter.title || parameter.name.charAt(0).toUpperCase() + parameter.name.slice(1).replaceAll("_", " ");

/** A parameter as forms take it. Pictures have a field of their own. */
export function fieldOf(parameter: WorkflowParameter): Field {
  const type = TYPES[parameter.type as keyof typeof TYPES];
  const text = parameter.type === "str";
  const field: Field = {
    key: parameter.name + OWN,
    type,
    multiple: false,
    default: parameter.default as Value,
    choices: [...parameter.choices],
    minimum: parameter.type === "seed" ? (parameter.min ?? 0) : parameter.min,
    maximum: text ? (parameter.max ?? LONGEST) : parameter.max,
    step: parameter.step,
    unit: null,
    title: titleOf(parameter),
    help: parameter.description,
    advanced: false,
    locked: false,
    required: parameter.required,
  };
  if (parameter.type === "resolution") field.control = "size";
  if (parameter.type === "seed") field.control = "seed";
  if (text && field.maximum! > LONG) field.control = "area";
  return field;
}

/** Values of a form by the names of the parameters. */
export const named = (values: Values): Values =>
  Object.fromEntries(Object.entries(values).map(([key, value]) => [key.replace(OWN, ""), value]));

/** The other way. */
export const keyed = (values: Values): Values =>
  Object.fromEntries(Object.entries(values).map(([name, value]) => [name + OWN, value]));

export type Pictures = Readonly<Record<string, Target | null>>;

const isStep = (target: Target | null | undefined): target is { step: number } =>
  typeof target === "object" && target !== null;

/** The first parameter that needs something; the service puts the result of a step into the last free picture. */
export function lacking(workflow: Workflow, values: Values, pictures: Pictures): WorkflowParameter | null {
  for (const parameter of workflow.parameters) {
    const given = isPicture(parameter) ? pictures[parameter.name] : (values[parameter.name] ?? parameter.default);
    if (parameter.required && (given == null || given === "")) return parameter;
  }
  const wanted = workflow.parameters.filter(isPicture);
  const at = wanted.findIndex((parameter) => isStep(pictures[parameter.name]));
  return at < 0 ? null : (wanted.slice(at + 1).find((parameter) => pictures[parameter.name] == null) ?? null);
}

/** The step that runs the workflow so. */
export function callOf(workflow: Workflow, values: Values, pictures: Pictures): StepRequest {
  const parameters: Record<string, unknown> = { ...values };
  const step: StepRequest = { workflow: { name: workflow.name, parameters } };
  for (const { name } of workflow.parameters.filter(isPicture)) {
    const picture = pictures[name];
    if (isStep(picture)) step.target = picture;
    else if (picture != null) parameters[name] = picture;
  }
  return step;
}

/** What is filled in, of a step that runs the workflow. */
export function filledOf(workflow: Workflow, step: StepRequest): { values: Values; pictures: Record<string, Target> } {
  const given = (step.workflow?.parameters ?? {}) as Record<string, unknown>;
  const values: Values = {};
  const pictures: Record<string, Target> = {};
  for (const parameter of workflow.parameters) {
    const value = given[parameter.name];
    if (isPicture(parameter)) {
      if (value != null) pictures[parameter.name] = value as string;
    } else if (value != null) {
      values[parameter.name] = value as Value;
    }
  }
  const free = workflow.parameters.filter((item) => isPicture(item) && !(item.name in pictures)).at(-1);
  if (step.target != null && free) pictures[free.name] = step.target as Target;
  return { values, pictures };
}
