"""Clients of the service, one for ordinary code and one for asyncio.

    from mien.client import Client

    with Client("http://127.0.0.1:8080") as mien:
        mien.run(["me.jpg"], "clip.mp4", "out.mp4", on_progress=print)

What the service refuses is raised as the same errors that the library raises, with the same codes.
"""

from mien.client.asynchronous import AsyncClient
from mien.client.sync import Client
from mien.server.schemas.assets import Asset, FaceList, FoundFace, Verification
from mien.server.schemas.jobs import Job, JobPage, JobProgress, JobResult

__all__ = [
    "Asset",
    "AsyncClient",
    "Client",
    "FaceList",
    "FoundFace",
    "Job",
    "JobPage",
    "JobProgress",
    "JobResult",
    "Verification",
]
