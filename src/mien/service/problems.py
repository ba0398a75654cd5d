"""Everything that is wrong with a request, told at once, each with the field that it is about."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from mien.errors import InputError, MienError, NotFound


class Problems:
    """Collects errors by field."""

    def __init__(self) -> None:
        self.found: list[tuple[str, MienError]] = []
        """The errors so far, with their fields."""

    @contextmanager
    def at(self, field: str) -> Iterator[None]:
        """Note an error of the block as one of ``field`` and go on behind the block."""
        try:
            yield
        except NotFound as error:
            # What a body names is not what the address of the request names.
            self.found.append((field, InputError(str(error))))
        except MienError as error:
            self.found.append((field, error))

    def add(self, field: str, error: MienError) -> None:
        """Note an error of ``field``."""
        self.found.append((field, error))

    def take(self, other: Problems, rename: Callable[[str], str]) -> None:
        """Note what another collection has, with its fields under other names."""
        self.found += [(rename(field), error) for field, error in other.found]

    def refuse(self) -> None:
        """Raise the first error, with the fields of all; nothing when there is none."""
        if not self.found:
            return
        first = self.found[0][1]
        more = len(self.found) - 1
        rest = f" {more} more {'field is' if more == 1 else 'fields are'} wrong." if more else ""
        error = type(first)(f"{first}{rest}")
        error.details = tuple((field, str(problem)) for field, problem in self.found)
        raise error
