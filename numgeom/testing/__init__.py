"""The conformance kit: checks that follow from what a plugin's card declares.

A card says more than a name: a range, a symmetry, invariances, whether a null only reorders rows. Tables rely on
every word of it. This kit derives checks from the card and holds the plugin to them, on clouds with known answers.
An invariance that is declared must hold; one that is not declared must really move the value.

Three ways to use it::

    run_checks(SPEC)                                    # a report, anywhere
    @parametrize_with_checks([SPEC])                    # one pytest test for each check
    def test_conformance(check): check()
    numgeom check my_metric.py                          # the same on the command line

For tests of your own there are clouds with known answers (:func:`line`, :func:`circle`, :func:`gaussian`,
:func:`walk`, :func:`rotated`), a source that reads them (:data:`FAKE_SOURCE`) and a tokenizer without files
(:class:`FakeTokenizer`).

Examples
--------
A metric that claims what it does not have is caught by the name of the claim:

>>> import numpy as np
>>> from numgeom import ConvergenceSpec
>>> def first_columns(a, b):
...     return float(np.corrcoef(a.matrix[:, 0], b.matrix[:, 0])[0, 1])
>>> card = ConvergenceSpec(
...     name="first_columns", summary="correlation of the first columns", target=first_columns, range=(-1, 1),
...     invariant_to=frozenset({"orthogonal", "scale", "translation"}),
... )
>>> [result.check for result in run_checks(card).failures if "invariant" in result.check]
['invariant[orthogonal]', 'invariant[permutation]']
"""

from __future__ import annotations

from numgeom.testing.check import Check, CheckFailed, Report, Result
from numgeom.testing.clouds import (
    CLOUDS,
    FAKE_SOURCE,
    awkward,
    circle,
    gaussian,
    joined,
    line,
    noisy,
    read_cloud,
    rotated,
    skewed,
    transformed,
    walk,
)
from numgeom.testing.renderers import sample_tables
from numgeom.testing.runner import checks, parametrize_with_checks, run_checks, select
from numgeom.testing.tokenizer import FakeTokenizer

__all__ = [
    "CLOUDS",
    "FAKE_SOURCE",
    "Check",
    "CheckFailed",
    "FakeTokenizer",
    "Report",
    "Result",
    "awkward",
    "checks",
    "circle",
    "gaussian",
    "joined",
    "line",
    "noisy",
    "parametrize_with_checks",
    "read_cloud",
    "rotated",
    "run_checks",
    "sample_tables",
    "select",
    "skewed",
    "transformed",
    "walk",
]
