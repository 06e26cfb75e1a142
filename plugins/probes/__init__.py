"""Probes: how a tokenizer writes numbers. They read no weights."""

from __future__ import annotations

from collections.abc import Iterable

from numgeom import ProbeSpec, hookimpl

_HERE = "numgeom_plugins.probes"


@hookimpl
def numgeom_probes() -> Iterable[ProbeSpec]:
    """Token counts, single-token numbers, cuts and their rule, ids, consistency under the sign and between contexts."""
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
        ProbeSpec(
            name="scheme",
            summary="by which rule numbers are cut: digit by digit, in chunks from the left or the right, irregular",
            target=f"{_HERE}.scheme:scheme",
            params={"samples": 50, "seed": 0},
            reference="Singh & Strouse 2024, arXiv:2402.14903",
        ),
        ProbeSpec(
            name="boundaries",
            summary="how probable a token boundary is at each place from the right, and how much numbers differ in it",
            target=f"{_HERE}.boundaries:boundaries",
        ),
        ProbeSpec(
            name="written_forms",
            summary="tokens per number: bare, spaced, negative, with commas, padded with zeros, with a decimal",
            target=f"{_HERE}.written_forms:written_forms",
            reference="Singh & Strouse 2024, arXiv:2402.14903",
        ),
        ProbeSpec(
            name="contexts",
            summary="whether a number has the same ids after a space, a line break, =, (, $ and - as bare",
            target=f"{_HERE}.contexts:contexts",
        ),
        ProbeSpec(
            name="id_layout",
            summary="how the ids of numbers, and of the pieces of longer ones, follow the value",
            target=f"{_HERE}.id_layout:id_layout",
        ),
        ProbeSpec(
            name="merge_ranks",
            summary="periods 2, 5, 10 and 100 in the ids themselves: what a model may inherit from its tokenizer",
            target=f"{_HERE}.merge_ranks:merge_ranks",
            reference="Fu et al. 2026, arXiv:2604.20817",
        ),
        ProbeSpec(
            name="leading_zeros",
            summary="digit strings that are one token, by length, and those like 007 with a needless zero",
            target=f"{_HERE}.leading_zeros:leading_zeros",
        ),
    ]
