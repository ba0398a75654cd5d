"""A command whose flags are made when they are needed and read by argparse's rules."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import typer
import typer.main
from typer.core import TyperCommand, TyperGroup, TyperOption

from mien.cli.help import explain
from mien.cli.terminal import Terminal
from mien.cli.words import Shape, normalise
from mien.errors import Canceled, OptionError

Parameters = Callable[[], Sequence[inspect.Parameter]]
Run = Callable[[dict[str, Any]], None]

STOPPED = "stopped; what was finished is kept, and the same command goes on from there."


class Command(TyperCommand):
    """One command; ``parameters`` is called when it is parsed or explained, not when it is listed."""

    def __init__(
        self,
        name: str,
        summary: str,
        parameters: Parameters,
        run: Run,
        terminal: Terminal,
        *,
        details: str = "",
        usage: str = "",
        panel: str | None = None,
    ) -> None:
        """``usage`` is what follows the name in the usage line; ``details`` follow the summary in help."""
        super().__init__(
            name,
            help=f"{summary}\n\n{details}".strip(),
            short_help=summary,
            callback=self._call,
            add_help_option=False,
            rich_help_panel=panel,
        )
        self._parameters = parameters
        self._run = run
        self._terminal = terminal
        self._usage = usage
        self._made = False

    def get_params(self, ctx: Any) -> list[Any]:
        """The parameters, made on the first call."""
        if not self._made:
            self._made = True
            self.params = make([*self._parameters(), *COMMON])
            folded = any(isinstance(param, TyperOption) and param.hidden for param in self.params)
            self.params += make([HELP, _help_all(self)] if folded else [HELP])
        return super().get_params(ctx)

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """What follows the name of the command in the usage line."""
        return [piece for piece in ("[OPTIONS]", self._usage) if piece]

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help."""
        formatter.write(explain(self, ctx))

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse after rewriting the words; a command line that is still being typed is taken as it is."""
        if not ctx.resilient_parsing:
            args = normalise(args, shapes(self.get_params(ctx)))
        return super().parse_args(ctx, args)

    def _call(self, **values: Any) -> None:
        self._terminal.switch(**{name: bool(values.pop(name, False)) for name in ("json", "quiet", "debug")})
        try:
            self._run(values)
        except KeyboardInterrupt:
            raise Canceled(STOPPED) from None


class Group(TyperGroup):
    """A group of commands that explains itself when none is named."""

    def list_commands(self, ctx: Any) -> list[str]:
        """The names of the commands, in order; none of them is made for that."""
        return list(self.commands)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help."""
        formatter.write(explain(self, ctx))

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse; no words at all ask for help."""
        return super().parse_args(ctx, args if args or ctx.resilient_parsing else ["--help"])


def shapes(params: Sequence[Any]) -> list[Shape]:
    """How the options among ``params`` are written; ``--no-x`` counts as an option of its own."""
    found = []
    for param in params:
        if getattr(param, "param_type_name", "") != "option":
            continue
        flag = bool(param.is_flag or param.count)
        found.append(Shape(tuple(param.opts), "none" if flag else "many" if param.multiple else "one"))
        if param.secondary_opts:
            found.append(Shape(tuple(param.secondary_opts), "none"))
    return found


def make(parameters: Sequence[inspect.Parameter]) -> list[Any]:
    """The parameter objects that typer makes of a function with these parameters."""

    def function(**values: Any) -> None: ...

    # Two processors of different makers may declare the same key; the first one keeps it.
    by_name = {parameter.name: parameter for parameter in reversed(parameters)}
    function.__signature__ = inspect.Signature(list(reversed(by_name.values())))  # type: ignore[attr-defined]
    function.__annotations__ = {}
    app = typer.Typer(add_completion=False)
    app.command(add_help_option=False)(function)
    return list(typer.main.get_command(app).params)


def switch(name: str, *flags: str, help: str, panel: str = "Messages", **more: Any) -> inspect.Parameter:
    """A parameter that is on or off."""
    info = typer.Option(
        False, *flags, help=help, metavar="", rich_help_panel=panel, show_default=False, **more
    )
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=info, annotation=bool)


def text(
    name: str, *flags: str, help: str, metavar: str, panel: str = "Files", many: bool = False
) -> inspect.Parameter:
    """A parameter with a text value, or a list of them; None or empty when it is not written."""
    info = typer.Option(None, *flags, help=help, metavar=metavar, rich_help_panel=panel, show_default=False)
    annotation: Any = list[str] | None if many else str | None
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=info, annotation=annotation)


def positionals(name: str) -> inspect.Parameter:
    """All positional words as one list, which may be empty; the command's own text explains them."""
    info = typer.Argument(None, hidden=True, show_default=False)
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=info, annotation=list[str] | None)


JSON = "Write the result to stdout as JSON."
QUIET = "Write nothing but errors."
DEBUG = "Show where an error comes from."
COMMON = (
    switch("json", "--json", help=JSON),
    switch("quiet", "--quiet", help=QUIET),
    switch("debug", "--debug", help=DEBUG),
)
"""The switches that every command has."""


def show_help(ctx: typer.Context, value: bool) -> None:
    """Print the help of the command and leave; the callback of ``--help``."""
    if value and not ctx.resilient_parsing:
        typer.echo(ctx.get_help())
        raise typer.Exit


HELP = switch(
    "help", "-h", "--help", help="Show this help.", callback=show_help, is_eager=True, expose_value=False
)
"""The help switch of every command."""


def _help_all(command: Command) -> inspect.Parameter:
    def show(ctx: typer.Context, value: bool) -> None:
        if value and not ctx.resilient_parsing:
            for param in command.params:
                if isinstance(param, TyperOption):
                    param.hidden = False
            show_help(ctx, value)

    help = "Show this help with all options, also those rarely needed."
    return switch("help_all", "--help-all", help=help, callback=show, is_eager=True, expose_value=False)


def one(words: Sequence[str], what: str, usage: str) -> str:
    """The only positional; raises OptionError when there is none or more than one."""
    if len(words) != 1:
        found = "none was given" if not words else f"{len(words)} were given: {', '.join(words)}"
        raise OptionError(f"One {what} is needed, but {found} ({usage}).")
    return words[0]


def chosen(values: Mapping[str, Any], name: str) -> tuple[str, ...]:
    """A list parameter as a tuple, empty when it was not written."""
    return tuple(values.get(name) or ())
