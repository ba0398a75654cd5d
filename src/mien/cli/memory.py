"""A limit on the memory of this process."""

from __future__ import annotations

from mien.errors import OptionError

GB = 1 << 30


def limit_memory(limit: int) -> None:
    """Let this process, for the rest of its life, hold no more than so many GB of data; 0: as it is.

    What goes beyond fails as any lack of memory does. Raises OptionError where the system has no such limit.
    """
    if not limit:
        return
    try:
        import resource
    except ImportError:
        raise OptionError("--system-memory-limit cannot be used on this system: leave it out.") from None
    _, most = resource.getrlimit(resource.RLIMIT_DATA)
    wanted = limit * GB if most == resource.RLIM_INFINITY else min(limit * GB, most)
    resource.setrlimit(resource.RLIMIT_DATA, (wanted, most))
