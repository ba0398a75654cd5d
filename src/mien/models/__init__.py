"""The catalogue of models and the store that finds, downloads and checks their files."""

from mien.models.catalogue import Catalogue, Model, ModelFile, load_catalogue
from mien.models.request import Download
from mien.models.store import ModelStatus, ModelStore

__all__ = ["Catalogue", "Download", "Model", "ModelFile", "ModelStatus", "ModelStore", "load_catalogue"]
