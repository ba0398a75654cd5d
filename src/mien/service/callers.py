"""Who calls: the owner of jobs and assets, and what the caller may do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeAlias, get_args

from mien.errors import Forbidden, OptionError

Scope: TypeAlias = Literal["submit", "read", "work", "admin"]
"""work: fetch tasks of all owners as a consumer, and report about them."""
SCOPES: Final[tuple[Scope, ...]] = get_args(Scope)
LIMITS: Final[Mapping[str, str]] = {
    "requests_per_minute": "requests_per_minute",
    "jobs_per_day": "jobs_per_day",
    "max_queue": "max_queue_per_key",
    "stored_mb": "max_stored_mb",
}
"""What may be limited for one key, and the setting that counts for all others."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever sent a request."""

    owner: str = ""
    """To whom new jobs and assets belong; empty: everybody who uses this service without a key."""
    key_id: str | None = None
    """None: nobody was asked for a key."""
    scopes: frozenset[Scope] = frozenset(SCOPES)
    limits: Mapping[str, float] = field(default_factory=dict)
    """Limits that differ from those of the service, by the names of ``LIMITS``."""

    @property
    def is_admin(self) -> bool:
        """Whether the caller may manage keys and models."""
        return "admin" in self.scopes

    def may(self, scope: Scope) -> bool:
        """Whether the caller has a scope; admin has all."""
        return self.is_admin or scope in self.scopes

    def check(self, scope: Scope) -> None:
        """Raise Forbidden unless the caller has the scope."""
        if not self.may(scope):
            raise Forbidden(f"The key {self.key_id} lacks the scope {scope}; ask for one that has it.")


LOCAL: Final = Caller()
"""The caller where nobody is asked for a key."""


def checked_scopes(words: Any) -> tuple[Scope, ...]:
    """Scopes in their fixed order; raises OptionError for an unknown one, or for none."""
    words = list(words)
    unknown = [word for word in words if word not in SCOPES]
    if unknown or not words:
        found = f"{unknown[0]!r} is none" if unknown else "none was given"
        raise OptionError(f"A key needs scopes of {', '.join(SCOPES)}, but {found}.")
    return tuple(scope for scope in SCOPES if scope in words)


def checked_limits(limits: Mapping[str, float] | None) -> dict[str, float]:
    """Limits of a key; raises OptionError for an unknown name, or a number that is not above 0."""
    for name, value in (limits or {}).items():
        if name not in LIMITS:
            raise OptionError(f"{name!r} is no limit of a key; there are {', '.join(LIMITS)}.")
        if not value > 0:
            raise OptionError(f"The limit {name} must be above 0, but it is {value:g}.")
    return dict(limits or {})
