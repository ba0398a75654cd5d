"""The one way in for a URL: fetch a media file without being led into the network that mien runs in."""

from mien.fetch.fetcher import Fetcher, fetch, is_url
from mien.fetch.settings import FetchSettings

__all__ = ["FetchSettings", "Fetcher", "fetch", "is_url"]
