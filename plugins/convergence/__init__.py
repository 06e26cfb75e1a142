"""Convergence metrics: how far two models agree on the geometry of the numbers."""

from __future__ import annotations

from collections.abc import Iterable

from numgeom import ConvergenceSpec, hookimpl
from numgeom_plugins.convergence import (
    alignment_cards,
    cloud_cards,
    core_cards,
    kernel_cards,
    neighbour_cards,
    numeric_cards,
    rsa_cards,
)

FAMILIES = (core_cards, kernel_cards, rsa_cards, neighbour_cards, alignment_cards, cloud_cards, numeric_cards)


@hookimpl
def numgeom_convergence_metrics() -> Iterable[ConvergenceSpec]:
    """Our own measures, and every sound one of the similarity libraries, tested against their values."""
    return [card for family in FAMILIES for card in family.cards()]
