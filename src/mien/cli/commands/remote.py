"""``mien remote``: work done by a mien service on another machine."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mien.cli import flags
from mien.cli.command import Command, Group, chosen, one, positionals, switch, text
from mien.cli.program import Program, all_groups, items_of
from mien.cli.progress import ProgressBars
from mien.cli.run_options import PathOptions, processors_option
from mien.cli.terminal import Terminal, size
from mien.errors import OptionError

if TYPE_CHECKING:
    from mien.client import Client, Job, JobProgress

DEFAULT_URL = "http://127.0.0.1:8080"
WHERE = f"The service is named by --url or MIEN_URL ({DEFAULT_URL} when unset), the key by MIEN_KEY."

JOB = "JOB [OPTIONS]"


def remote_group(program: Program, terminal: Terminal) -> Group:
    """The group with its commands."""
    actions = _Remote(program, terminal)
    output = text("output", "-o", "--output-path", help="Where the result goes.", metavar="FILE")
    status = text("status", "--status", help="Only jobs in these states.", metavar="STATE", many=True)
    commands = [
        Command(
            "run",
            "Send files, wait for the result and write it here.",
            actions.run_parameters,
            actions.run,
            terminal,
            details="TARGET and sources may be files or https addresses; processors and their options are those of "
            f"`mien apply`. With --detach, the job's id is printed and nobody waits. {WHERE}",
            usage="TARGET [-s SOURCE...] -o OUTPUT",
        ),
        _command("jobs", "List jobs, newest first.", actions.jobs, terminal, "", status),
        _command("show", "Tell how far a job is.", actions.show, terminal, JOB),
        _command("wait", "Wait for a job, and write its result.", actions.wait, terminal, JOB, output),
        _command("cancel", "Stop a job.", actions.cancel, terminal, JOB),
        _command("retry", "Run a job again that failed or was canceled.", actions.retry, terminal, JOB),
        _command("delete", "Delete a job that has ended, with its files.", actions.delete, terminal, JOB),
        _command("models", "List the models of the service.", actions.models, terminal, ""),
        _command("health", "Tell how the service is, part by part.", actions.health, terminal, ""),
    ]
    return Group(
        name="remote",
        help="Have a mien service do the work.",
        commands={command.name: command for command in commands if command.name},
        rich_help_panel="Service",
    )


def _command(
    name: str,
    summary: str,
    run: Callable[[dict[str, Any]], None],
    terminal: Terminal,
    usage: str,
    *parameters: inspect.Parameter,
) -> Command:
    def made() -> list[inspect.Parameter]:
        return [positionals("words"), *parameters, *_connection()]

    return Command(name, summary, made, run, terminal, details=WHERE, usage=usage)


def _connection() -> list[inspect.Parameter]:
    return [
        text("url", "--url", help="Address of the service.", metavar="URL", panel="Service"),
        text(
            "key",
            "--key",
            help="Key of the service; others on this machine can see it, so better use MIEN_KEY.",
            metavar="KEY",
            panel="Service",
        ),
    ]


class _Remote:
    def __init__(self, program: Program, terminal: Terminal) -> None:
        self._program = program
        self._terminal = terminal

    def run_parameters(self) -> list[inspect.Parameter]:
        """Files, processors and their options, and what belongs to the service."""
        found = [positionals("words"), *flags.group_parameters(PathOptions)]
        found += flags.parameters([self._processors()], "Processors")
        for group in all_groups(self._program):
            found += flags.group_parameters(group, folded=True)
        priority = text(
            "priority", "--priority", help="From 0, first, to 9.", metavar="NUMBER", panel="Service"
        )
        detach = switch("detach", "--detach", help="Do not wait.", panel="Service")
        return [*found, priority, detach, *_connection()]

    def run(self, parsed: Mapping[str, Any]) -> None:
        """Send files, wait, write the result."""
        groups = all_groups(self._program)
        typed = flags.read((*items_of((*groups, PathOptions)), self._processors()), parsed)
        words = chosen(parsed, "words")
        target = typed.get("target_path") or one(words, "target", "mien remote run TARGET -o OUTPUT")
        output = typed.get("output_path")
        if output is None and not parsed["detach"]:
            raise OptionError("There is no output file: mien remote run TARGET -o OUTPUT, or --detach.")
        own = {item.key for item in items_of(groups)}
        options = {key: _plain(value) for key, value in typed.items() if key in own}
        consent = options.pop("consent_ref", None)
        with self._client(parsed) as client:
            job = client.process(
                [str(source) for source in typed.get("source_paths") or ()],
                str(target),
                processors=typed.get("processors") or (),
                options=options,
                format=Path(output).suffix.lstrip(".").lower() if output else None,
                consent_ref=consent,
                priority=parsed["priority"],
            )
            if parsed["detach"] or output is None:
                self._tell(job, job.id)
            else:
                self._finish(client, job.id, Path(output))

    def jobs(self, parsed: Mapping[str, Any]) -> None:
        """List jobs."""
        with self._client(parsed) as client:
            page = client.jobs(status=list(chosen(parsed, "status")) or None)
        rows = [(job.id, job.status, ", ".join(job.processors), job.created_at[:19]) for job in page.jobs]
        data = page.model_dump(mode="json")
        self._terminal.result(
            data, lambda: self._terminal.table(("job", "state", "processors", "submitted (UTC)"), rows)
        )

    def show(self, parsed: Mapping[str, Any]) -> None:
        """Tell how far a job is."""
        with self._client(parsed) as client:
            job = client.job(self._id(parsed, "show"))
        self._tell(job, _sentence(job))

    def wait(self, parsed: Mapping[str, Any]) -> None:
        """Wait for a job, and write its result when there is a place for it."""
        output = parsed["output"]
        with self._client(parsed) as client:
            self._finish(client, self._id(parsed, "wait"), Path(output) if output else None)

    def cancel(self, parsed: Mapping[str, Any]) -> None:
        """Stop a job."""
        with self._client(parsed) as client:
            job = client.cancel(self._id(parsed, "cancel"))
        self._tell(job, _sentence(job))

    def retry(self, parsed: Mapping[str, Any]) -> None:
        """Run a job again."""
        with self._client(parsed) as client:
            job = client.retry(self._id(parsed, "retry"))
        self._tell(job, _sentence(job))

    def delete(self, parsed: Mapping[str, Any]) -> None:
        """Delete a job with its files."""
        id = self._id(parsed, "delete")
        with self._client(parsed) as client:
            client.delete(id)
        self._terminal.result({"id": id, "deleted": True}, lambda: f"{id}: deleted")

    def models(self, parsed: Mapping[str, Any]) -> None:
        """List the models of the service."""
        with self._client(parsed) as client:
            models = client.models()
        rows = [
            (model.id, "yes" if model.installed else "no", size(model.size or 0), model.licence)
            for model in models
        ]
        data = [model.model_dump(mode="json") for model in models]
        self._terminal.result(
            data, lambda: self._terminal.table(("model", "installed", "size", "licence"), rows)
        )

    def health(self, parsed: Mapping[str, Any]) -> None:
        """Tell how the service is."""
        with self._client(parsed) as client:
            health = client.health()
        rows = [(name, _state(check)) for name, check in health.checks.items()]
        self._terminal.result(
            health.model_dump(mode="json"),
            lambda: self._terminal.table(("part", "state"), rows, title=f"{client.url}: {health.status}"),
        )

    def _finish(self, client: Client, id: str, output: Path | None) -> None:
        with ProgressBars(self._terminal) as bars:
            job = client.wait(id, on_progress=lambda progress: _show(bars, progress))
        if output is not None:
            client.download(id, output)
        self._tell(job, _sentence(job) if output is None else f"{output}: {_sentence(job)}")

    def _tell(self, job: Job, line: str) -> None:
        self._terminal.result(job.model_dump(mode="json"), lambda: line)

    def _client(self, parsed: Mapping[str, Any]) -> Client:
        from mien.client import Client

        url = parsed["url"] or os.environ.get("MIEN_URL") or DEFAULT_URL
        return Client(url, parsed["key"] or os.environ.get("MIEN_KEY") or None)

    def _processors(self) -> Any:
        return processors_option(tuple(self._program.processors()))

    def _id(self, parsed: Mapping[str, Any], name: str) -> str:
        return one(chosen(parsed, "words"), "job", f"mien remote {name} JOB")


def _show(bars: ProgressBars, progress: JobProgress) -> None:
    from mien.pipeline.progress import Progress

    bars.work(
        Progress(
            stage=progress.stage or "process",  # type: ignore[arg-type]
            done=int(progress.done or 0),
            total=int(progress.total or 0),
            rate=progress.fps or 0.0,
            remaining=progress.remaining_seconds,
            message=progress.message or "",
        )
    )


def _sentence(job: Job) -> str:
    facts: list[str] = [job.status]
    if job.queue_position:
        facts.append(f"{job.queue_position} before it")
    if job.progress is not None and job.progress.total:
        facts.append(f"{100 * (job.progress.done or 0) / job.progress.total:.0f} %")
    if job.failure is not None:
        facts.append(job.failure.message)
    return f"{job.id}: {', '.join(facts)}"


def _state(check: Any) -> str:
    if not isinstance(check, Mapping):
        return str(check)
    return " ".join(str(check[key]) for key in ("status", "message") if check.get(key))


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
