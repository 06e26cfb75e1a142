"""Probes: how a tokenizer writes numbers. They read no weights."""

from __future__ import annotations

from collections.abc import Iterable

from numgeom import ProbeSpec, hookimpl

_HERE = "numgeom_plugins.probes"


@hookimpl
def numgeom_probes() -> Iterable[ProbeSpec]:
    """Token counts, single-token numbers, the smallest multi-token number, and consistency under the sign."""
    return [
        ProbeSpec(
            name="token_counts",
            summary="how many numbers are written with one token, with two, ..., and tokens per number and per digit",
            target=f"{_HERE}.token_counts:token_counts",
            reference="Singh & Strouse 2024, arXiv:2402.14903",
            default=1,
        ),
        ProbeSpec(
            name="single_tokens",
            summary="the numbers that are one token: how many, in which runs, with which holes",
            target=f"{_HERE}.single_tokens:single_tokens",
            default=2,
        ),
        ProbeSpec(
            name="smallest_multi_token",
            summary="the smallest number of more than one token: bare, after a space, and as the tokenizer has it",
            target=f"{_HERE}.smallest_multi_token:smallest_multi_token",
            params={"limit": 10_000},
            default=3,
        ),
        ProbeSpec(
            name="sign_consistency",
            summary="whether -n is written as a sign before the very tokens of n",
            target=f"{_HERE}.sign_consistency:sign_consistency",
            default=4,
        ),
    ]
