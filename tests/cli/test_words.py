from __future__ import annotations

import argparse

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.cli.words import Shape, normalise
from mien.errors import OptionError

SHAPES = (
    Shape(("--processors",), "many"),
    Shape(("--face-mask-types",), "many"),
    Shape(("--face-mask-blur",), "one"),
    Shape(("--output-path", "-o"), "one"),
    Shape(("-s", "--source-paths"), "many"),
    Shape(("--halt", "-q"), "none"),
    Shape(("-v", "--verbose"), "none"),
)


class _Refusing(argparse.ArgumentParser):
    def error(self, message: str) -> None:  # type: ignore[override]
        raise OptionError(message)


def _argparse(words: list[str]) -> tuple[dict[str, list[str]], list[str]]:
    """What argparse makes of the words: the values of each option, and the positionals."""
    parser = _Refusing(add_help=False)
    for shape in SHAPES:
        if shape.takes == "none":
            parser.add_argument(*shape.names, dest=shape.name, action="append_const", const="")
        else:
            nargs = "+" if shape.takes == "many" else None
            action = "extend" if nargs else "append"
            parser.add_argument(*shape.names, dest=shape.name, nargs=nargs, action=action)
    parser.add_argument("positionals", nargs="*")
    found = vars(parser.parse_intermixed_args(words))
    positionals = found.pop("positionals") or []
    return {name: values for name, values in found.items() if values is not None}, positionals


def _ours(words: list[str]) -> tuple[dict[str, list[str]], list[str]]:
    normal = normalise(words, SHAPES)
    cut = normal.index("--")
    found: dict[str, list[str]] = {}
    for word in normal[:cut]:
        name, _, value = word.partition("=")
        found.setdefault(name, []).append(value)
    return found, normal[cut + 1 :]


WORDS = st.sampled_from(
    [
        *("--processors", "--face-mask-types", "--face-mask-blur", "--output-path", "-o", "-s", "-q", "-v"),
        *(
            "--face-mask-t",
            "--face-mask",
            "--out",
            "--processors=a",
            "--output-path=x y",
            "-ofile",
            "-o=file",
        ),
        *("--face-mask-b=-1", "-sx", "-vq", "-vo", "-vofile", "--halt=1", "--nothing", "-z"),
        *("a", "b.jpg", "-1", "-0.5", "-.5", "-1e3", "-", "", "it's", "x=y", "-with space", "ü"),
    ]
)


@settings(max_examples=600, deadline=None)
@given(st.lists(WORDS, max_size=7))
def test_reads_words_as_argparse_does(words: list[str]) -> None:
    try:
        expected = _argparse(words)
    except OptionError:
        with pytest.raises(OptionError):
            _ours(words)
    else:
        assert _ours(words) == expected


@settings(max_examples=200, deadline=None)
@given(st.lists(WORDS, max_size=6))
def test_the_normal_form_stays_as_it_is(words: list[str]) -> None:
    try:
        once = normalise(words, SHAPES)
    except OptionError:
        return
    assert normalise(once, SHAPES) == once


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (
            ["--processors", "a", "b", "-o", "x"],
            ["--processors=a", "--processors=b", "--output-path=x", "--"],
        ),
        (["--processors", "a", "--processors", "b"], ["--processors=a", "--processors=b", "--"]),
        (["--processors", "a", "--", "b", "-c"], ["--processors=a", "--", "b", "-c"]),
        (["in.jpg", "--face-mask-blur", "-0.5"], ["--face-mask-blur=-0.5", "--", "in.jpg"]),
        (["-ox=y", "t"], ["--output-path=x=y", "--", "t"]),
        (["-qo", "out"], ["--halt", "--output-path=out", "--"]),
    ],
)
def test_writes_one_value_per_flag_and_positionals_last(words: list[str], expected: list[str]) -> None:
    assert normalise(words, SHAPES) == expected


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            ["--face-mask", "x"],
            "--face-mask could mean --face-mask-blur, --face-mask-types; write more of it.",
        ),
        (["--procesors", "x"], "There is no option --procesors; did you mean --processors."),
        (["--output-path"], "--output-path needs a value."),
        (["-o", "--halt"], "--output-path needs a value."),
        (["--halt=1"], "--halt takes no value, but '1' was given."),
    ],
)
def test_says_what_is_wrong(words: list[str], sentence: str) -> None:
    with pytest.raises(OptionError) as caught:
        normalise(words, SHAPES)
    assert str(caught.value) == sentence
    assert caught.value.exit_code == 2
