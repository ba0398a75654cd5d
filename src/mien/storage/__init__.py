"""Where results are kept: the disk of this machine, S3, R2, Google Cloud Storage, Cloudflare Images.

    storage = open_storage(StorageSettings.from_environment())
    stored = storage.put_file(Path("out.mp4"))
    storage.sign(stored.url, 3600)

An object is named by its URL (``s3://bucket/key``). Nothing is public, keys cannot be guessed, and who gets a
signed URL may read for as long as it is valid.
"""

from mien.storage.base import Opened, Privacy, PutTicket, Storage, Stored
from mien.storage.chain import Chain
from mien.storage.providers import open_storage, storage_of
from mien.storage.settings import StorageSettings

__all__ = [
    "Chain",
    "Opened",
    "Privacy",
    "PutTicket",
    "Storage",
    "StorageSettings",
    "Stored",
    "open_storage",
    "storage_of",
]
