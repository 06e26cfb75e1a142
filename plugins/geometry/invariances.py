"""Invariances that most geometry metrics share."""

from __future__ import annotations

RIGID = frozenset({"orthogonal", "scale", "translation"})
