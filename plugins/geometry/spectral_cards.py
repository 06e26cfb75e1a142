"""Cards of spectra over the numbers and of probes for what a row says of its number."""

from __future__ import annotations

from numgeom import GeometrySpec


def cards() -> list[GeometrySpec]:
    """The cards of this module."""
    return []
