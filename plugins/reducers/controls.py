"""The controls that are reduced beside every reduction."""

from __future__ import annotations

# In the order of the pictures: no numbers, the same cloud under wrong numbers, order alone, nothing at all.
CONTROLS = ("random_tokens", "row_permutation", "smooth_surrogate", "iid_gaussian")
