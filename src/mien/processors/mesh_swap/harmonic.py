"""How the points between moved points follow: a harmonic interpolation on the mesh, one constant matrix."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np

from mien.faces.canonical import MESH_COUNT, Floats, Indices, canonical

_SOFTEN = 20.0
"""Added to edge lengths (mean-face units) so that very short edges do not become rigid."""


@cache
def harmonic_fill(controls: tuple[int, ...]) -> tuple[Indices, Floats]:
    """Return the free points of the mesh and the matrix (free × controls) that gives their displacement.

    Each free point becomes the mean of its neighbours, weighted by 1 / (edge length + 20) on the mean face.
    Made once for each set of controls; both arrays are read-only.
    """
    fixed = np.asarray(controls, np.int32)
    free = np.setdiff1d(np.arange(MESH_COUNT, dtype=np.int32), fixed)
    laplacian = _laplacian()
    solved = np.linalg.solve(laplacian[np.ix_(free, free)], -laplacian[np.ix_(free, fixed)])
    matrix = solved.astype(np.float32)
    free.setflags(write=False)
    matrix.setflags(write=False)
    return free, matrix


def union(groups: Sequence[Indices]) -> tuple[int, ...]:
    """All indices of several groups, each once, in rising order."""
    return tuple(int(index) for index in np.unique(np.concatenate(groups)))


def _laplacian() -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    data = canonical()
    first, second = data.edges.T
    length = np.linalg.norm(data.points_full[first] - data.points_full[second], axis=1)
    weight = np.zeros((MESH_COUNT, MESH_COUNT))
    weight[first, second] = weight[second, first] = 1.0 / (length + _SOFTEN)
    # A point that no triangle uses would make the matrix singular; it simply stays where it is.
    return np.diag(np.maximum(weight.sum(1), 1e-9)) - weight
