"""Reducers: scikit-learn transformers that bring ``(n, d)`` rows to ``(n, k)`` for looking at.

None of their pictures is a result by itself: the engine draws the same reduction of random tokens, of the same rows
under shuffled labels, of a smooth curve and of noise beside it; the geometry metric ``fidelity`` says what it kept,
and ``arch_verdict`` whether smoothness alone explains it.
"""

from __future__ import annotations

from collections.abc import Iterable

from numgeom import ReducerSpec, hookimpl
from numgeom_plugins.reducers import layout_cards, linear_cards

FAMILIES = (linear_cards, layout_cards)


@hookimpl
def numgeom_reducers() -> Iterable[ReducerSpec]:
    """Linear axes, and layouts from distances and neighbours; two of them need extra packages."""
    return [card for family in FAMILIES for card in family.cards()]
