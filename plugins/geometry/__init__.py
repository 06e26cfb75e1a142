"""Geometry metrics: one representation, or one reduction of it, to named scalars.

Every value is free of the unit of the rows. What a value means is said by the null beside it.
"""

from __future__ import annotations

from collections.abc import Iterable

from numgeom import GeometrySpec, hookimpl
from numgeom_plugins.geometry import core_cards, reduction_cards, shape_cards, spectral_cards

FAMILIES = (core_cards, shape_cards, spectral_cards, reduction_cards)


@hookimpl
def numgeom_geometry_metrics() -> Iterable[GeometrySpec]:
    """Everything that is measured of one model, and the fidelity of a reduction."""
    return [card for family in FAMILIES for card in family.cards()]
