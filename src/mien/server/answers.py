"""What routes about jobs have in common: how a job is shown, and how headers are read."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from mien.errors import MienError, OptionError
from mien.server.schemas import Job
from mien.service.views import PREFIX, Address, job_summary, job_view

if TYPE_CHECKING:
    from mien.jobs.rows import JobRow
    from mien.service.service import Service

_WAIT: Final = re.compile(r"(?:^|[,;\s])wait\s*=\s*\"?(\d{1,6}(?:\.\d+)?)\"?(?:$|[,;\s])", re.IGNORECASE)
_NO_WAIT: Final = re.compile(r"(?:^|[,;\s])respond-async(?:$|[,;\s])", re.IGNORECASE)


def whole_job(service: Service, row: JobRow) -> Job:
    """A job with everything, its results with addresses in the storage where there are such."""
    view = job_view(row, _signed(service, row.owner), service.desk.ahead.of(row))
    return Job.model_validate(_placed(service, view))


def light_job(service: Service, row: JobRow) -> Job:
    """A job as lists and boards show it."""
    return Job.model_validate(_placed(service, job_summary(row, lambda record, own: own)))


def job_path(service: Service, id: str) -> str:
    """Where a job is, for the header Location."""
    return f"{service.settings.root_path}{PREFIX}/jobs/{id}"


def wait_of(prefer: str | None, default: float, longest: float) -> float:
    """Seconds for which a client wants to wait, by the header Prefer; respond-async means none."""
    found = _WAIT.search(prefer or "")
    if found is not None:
        return min(float(found[1]), longest)
    return 0.0 if _NO_WAIT.search(prefer or "") else min(default, longest)


def sequence(cursor: str | None) -> int | None:
    """The place in a list of jobs that a cursor names. Raises OptionError."""
    if cursor is None:
        return None
    if not re.fullmatch(r"[0-9]{1,18}", cursor):
        raise OptionError("The cursor is none that was given out; leave it away to begin at the newest.")
    return int(cursor)


def _signed(service: Service, owner: str) -> Address:
    """Addresses in the storage; our own where the storage gives none."""

    def address(record: Mapping[str, Any], own: str) -> str:
        try:
            asset = service.assets.get(str(record.get("asset")), owner)
            return service.assets.sign(asset, service.settings.result_url_seconds)
        except MienError:
            return own

    return address


def _placed(service: Service, view: dict[str, Any]) -> dict[str, Any]:
    """Our own addresses below the path of the proxy."""
    root = service.settings.root_path
    if not root:
        return view

    def placed(address: str) -> str:
        return f"{root}{address}" if address.startswith(PREFIX) else address

    results = [{**result, "url": placed(result["url"])} for result in view["results"]]
    links = {name: placed(address) for name, address in view["links"].items()}
    return {**view, "results": results, "links": links}


Shown = Callable[["Service", "JobRow"], Job]
"""How much of a job is shown."""
