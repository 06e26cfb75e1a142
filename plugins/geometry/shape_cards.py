"""Cards of the shape of the cloud: distances, norms, curves, dimensions, clusters."""

from __future__ import annotations

from numgeom import GeometrySpec


def cards() -> list[GeometrySpec]:
    """The cards of this module."""
    return []
