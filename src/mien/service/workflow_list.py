"""The workflows of a service as its clients see them."""

from __future__ import annotations

from typing import Any

from mien.comfyui import Environments
from mien.comfyui.workflow import Workflow
from mien.service.steps import COMFYUI, LOCAL
from mien.service.workflow_steps import WorkflowSteps


def workflow_list(steps: WorkflowSteps, environments: Environments) -> list[dict[str, Any]]:
    """All workflows, with their parameters, where they run, and whether somebody is there who runs them.

    Of instances that were never asked nothing is known, and they count as there.
    """
    ready = {
        f"{COMFYUI}{found.name}"
        for found in environments.status()
        if any(instance.state not in ("faulty", "draining") for instance in found.instances)
    }
    found = []
    for name in steps.workflows.names:
        workflow = steps.workflows.get(name)
        places = environments_of(steps, workflow)
        found.append(
            {
                "name": name,
                "version": workflow.version,
                "title": workflow.title,
                "description": workflow.description,
                "environments": places,
                "available": all(place == LOCAL or place in ready for place in places),
                "parameters": workflow.schema_of_parameters(),
            }
        )
    return found


def environments_of(steps: WorkflowSteps, workflow: Workflow) -> list[str]:
    """Where the stages of a workflow run, each place once."""
    inner = [steps.workflows.get(stage.workflow) for stage in workflow.stages] or [workflow]
    return list(dict.fromkeys(steps.environment(item) for item in inner))
