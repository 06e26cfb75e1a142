"""Sets of transformations that cards of several families declare."""

from __future__ import annotations

HERE = "numgeom_plugins.convergence"
SHAPE = frozenset({"orthogonal", "scale", "translation", "permutation"})
SIZED = frozenset({"orthogonal", "translation", "permutation"})
ANGLES = frozenset({"orthogonal", "scale", "permutation"})
LINEAR = frozenset({"orthogonal", "scale", "translation", "permutation", "linear"})
COLUMNS = frozenset({"scale", "translation", "permutation"})
INFINITY = float("inf")
