"""``mien verify``: what a file says about how it was made, and whether that is still true."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from mien.cli import inputs
from mien.cli.command import Command, chosen, one, positionals, text
from mien.cli.program import Program
from mien.cli.progress import ProgressBars
from mien.cli.running import Files
from mien.cli.terminal import Terminal

if TYPE_CHECKING:
    from mien.safety.verify import Findings

EXIT_CODES = {"marked": 0, "unmarked": 3, "tampered": 4, "untrusted": 5}
"""By verdict; errors have codes from 10 on, a wrong command line has 2."""

DETAILS = (
    "Looks for Content Credentials (signed), plain marks (IPTC, container tags) and mien's invisible watermark. "
    "Apart from fetching a URL, nothing is asked over the network.\n\n"
    "Exit codes: 0 something says how the file was made, and nothing contradicts it; 3 no marks were found; 4 the file "
    "was changed after it was signed, or its manifest is damaged; 5 with --trust: there is no signature of anybody who "
    "is trusted; 2 a wrong command line; 10 and above: the file cannot be read."
)


def verify_command(program: Program, terminal: Terminal) -> Command:
    """Make the command."""

    def run(values: Mapping[str, Any]) -> None:
        from mien.safety.verify import anchors_of, read_anchors, verify

        word = one(chosen(values, "files"), "file", "mien verify FILE")
        settings = program.settings()
        anchors = anchors_of(settings)
        if values["trust"]:
            anchors = (*anchors, read_anchors(Path(values["trust"])))
        with (
            ProgressBars(terminal) as bars,
            inputs.local(Files((), word, Path("-")), settings, bars) as here,
        ):
            findings = verify(Path(here.target), anchors, max_pixels=settings.max_pixels)
        findings = replace(findings, path=Path(word.partition("?")[0]))
        verdict = findings.verdict(must_be_trusted=bool(values["trust"]))
        terminal.result(as_data(findings, verdict), lambda: "\n".join(findings.sentences()))
        if EXIT_CODES[verdict]:
            raise typer.Exit(EXIT_CODES[verdict])

    trust = "PEM file of certificates: ask for a signature by one of them, or by this machine's own key."
    return Command(
        "verify",
        "Tell what a picture or video says about how it was made, and whether that is still true.",
        lambda: [positionals("files"), text("trust", "--trust", help=trust, metavar="FILE")],
        run,
        terminal,
        details=DETAILS,
        usage="FILE|URL",
        panel="Provenance",
    )


def as_data(findings: Findings, verdict: str) -> dict[str, Any]:
    """The findings as JSON has them."""
    mark = findings.watermark
    return {
        "file": str(findings.path),
        "kind": findings.kind,
        "verdict": verdict,
        "manifest": asdict(findings.manifest),
        "marks": None if findings.marks is None else asdict(findings.marks),
        "watermark": None if mark is None else {"id": mark.text, "certainty": round(mark.certainty, 3)},
        "sentences": list(findings.sentences()),
    }
