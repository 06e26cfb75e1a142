"""What follows from the card of a source, and, given a model, from what it reads of it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from numgeom.errors import NumgeomError
from numgeom.numbers import NumberSet
from numgeom.representation import Representation
from numgeom.specs import ModelSpec, SourceSpec
from numgeom.testing.card import card_checks
from numgeom.testing.check import Check, CheckFailed, global_generators, require
from numgeom.tokenizer import Tokenizer

NUMBERS = "0..9,12,20..25"
NO_READING = "no_such"
NO_MODEL = "no_such_model"


def source_checks(spec: SourceSpec, model: ModelSpec | None = None) -> Iterator[Check]:
    """Every check that the card of a source gives rise to.

    Parameters
    ----------
    spec : SourceSpec
    model : ModelSpec, optional
        A model that it opens; with one, what is read of it is checked too.
    """

    def check(name: str, claim: str, run: Callable[[], str]) -> Check:
        return Check(name, claim, run, spec)

    yield from card_checks(spec, given=2, keywords=("read",), closed=True)
    if spec.reads:
        yield check("readings", f"reads: {', '.join(spec.reads)}", lambda: _readings(spec))
    if spec.tokenizer is not None:
        yield check("tokenizer_target", "tokenizer", lambda: _loads(spec, spec.tokenizer))
    if spec.fingerprint is not None:
        yield check("fingerprint_target", "fingerprint", lambda: _loads(spec, spec.fingerprint))
    if not spec.revisions:
        # A source with revisions asks a server about a model that is not there; no check does that.
        yield check("missing_model", "contract: one line for the user", lambda: _missing(spec))
    if model is not None and spec.reads:
        for read in spec.reads:
            if "{}" not in read:
                yield check(f"reads[{read}]", f"reads: {read}", partial(_reads, spec, model, read))
        if "{}" not in spec.reads[0]:
            yield check("deterministic", f"reads: {spec.reads[0]}", lambda: _deterministic(spec, model))
        # numgeom itself refuses a reading that the card does not list; a pattern lets anything through.
        if any("{}" in read for read in spec.reads):
            yield check("unknown_reading", f"reads: {', '.join(spec.reads)}", lambda: _unknown(spec, model))
    if model is not None:
        if spec.tokenizer is not None:
            yield check("tokenizer", "tokenizer", lambda: _tokenizer(spec, model))
        if spec.fingerprint is not None:
            yield check("fingerprint", "fingerprint", lambda: _fingerprint(spec, model))


def _second(spec: SourceSpec, target: Any) -> Any:
    return replace(spec, target=target).load()


def _loads(spec: SourceSpec, target: Any) -> str:
    function = _second(spec, target)
    require(callable(function), f"{target!r} cannot be called")
    return str(target)


def _params(spec: SourceSpec, model: ModelSpec) -> dict[str, Any]:
    return spec.with_params(dict(model.params))


def _refuses(act: Callable[[], Any], what: str) -> str:
    try:
        act()
    except NumgeomError as error:
        line = str(error)
        require("\n" not in line and line.strip() != "", f"{what}: the error is not one line: {line!r}")
        return line
    except Exception as error:
        raise CheckFailed(
            f"{what}: {type(error).__name__} ({error}); raise numgeom.SourceError with a line for the user"
        ) from error
    raise CheckFailed(f"{what} was not refused; raise numgeom.SourceError")


def _missing(spec: SourceSpec) -> str:
    with tempfile.TemporaryDirectory() as folder:
        model = ModelSpec(name=NO_MODEL, source=spec.opens()[0], id=str(Path(folder) / NO_MODEL))
        read = spec.reads[0] if spec.reads else "vectors"
        line = _refuses(
            lambda: spec.load()(model, NumberSet.parse(NUMBERS), read=read, **spec.params),
            "a model that does not exist",
        )
    return line.replace(folder, "...")


def _read(spec: SourceSpec, model: ModelSpec, read: str) -> Representation:
    rep = spec.load()(model, NumberSet.parse(NUMBERS), read=read, **_params(spec, model))
    require(isinstance(rep, Representation), f"it gave {type(rep).__name__}, not a Representation")
    return rep  # type: ignore[no-any-return]


def _reads(spec: SourceSpec, model: ModelSpec, read: str) -> str:
    try:
        rep = _read(spec, model, read)
    except NumgeomError as error:
        # A model may lack a reading, but not the default one.
        require(read != spec.reads[0], f"it refused to read {model.name}: {error}")
        return _refuses(partial(_read, spec, model, read), f"the reading {read!r}")
    asked = NumberSet.parse(NUMBERS)
    extra = sorted(set(rep.numbers.tolist()) - set(asked.values))
    require(not extra, f"it gave rows for numbers that were not asked for: {extra[:5]}")
    require(rep.n > 0, f"it gave none of the numbers {NUMBERS} of {model.name}")
    if rep.random_rows is not None:
        require(
            rep.random_rows.shape[1:] == (rep.d,),
            f"random_rows have shape {rep.random_rows.shape}, rows {rep.d} columns",
        )
    return f"{rep.n} rows of width {rep.d}"


def _deterministic(spec: SourceSpec, model: ModelSpec) -> str:
    read = spec.reads[0]
    found = []
    for seed in (1, 2):
        with global_generators(seed):
            found.append(_read(spec, model, read))
    first, second = found
    require(first.digest == second.digest, "two readings of one model differ")
    ids = [rep.token_ids for rep in found]
    require(ids[0] is None or np.array_equal(ids[0], np.asarray(ids[1])), "two readings have different token ids")
    return "two readings agree"


def _readings(spec: SourceSpec) -> str:
    """A pattern is read from its beginning only, so its braces stand at the end."""
    require(len(set(spec.reads)) == len(spec.reads), "it lists a reading twice")
    for read in spec.reads:
        require(read != "" and read != "default", f"{read!r} cannot be the name of a reading")
        require(
            "{}" not in read[:-2], f"{read!r} never matches: {{}} stands for the end of a reading, as in hidden:{{}}"
        )
    default = spec.reads[0] if spec.name in spec.opens() else ""
    require("{}" not in default, f"the first reading is the default, and {default!r} is a pattern; put another first")
    return f"{len(spec.reads)} readings"


def _unknown(spec: SourceSpec, model: ModelSpec) -> str:
    """Readings that a pattern of the card lets through and that no model has."""
    numbers = NumberSet.parse(NUMBERS)
    said = []
    for pattern in spec.reads:
        if "{}" in pattern:
            read = pattern.format(NO_READING)
            act = partial(spec.load(), model, numbers, read=read, **_params(spec, model))
            said.append(_refuses(act, f"the reading {read!r}"))
    return "; ".join(said)


def _tokenizer(spec: SourceSpec, model: ModelSpec) -> str:
    tokenizer = _second(spec, spec.tokenizer)(model)
    require(isinstance(tokenizer, Tokenizer), f"{type(tokenizer).__name__} lacks parts of numgeom.Tokenizer")
    ids = tokenizer.encode_number(7)
    require(isinstance(ids, tuple) and len(ids) > 0, f"encode_number(7) gave {ids!r}; it gives a tuple of ids")
    return f"{tokenizer.kind}, {tokenizer.vocab_size} ids"


def _fingerprint(spec: SourceSpec, model: ModelSpec) -> str:
    function = _second(spec, spec.fingerprint)
    first, second = function(model), function(model)
    require(isinstance(first, str) and first != "", f"its fingerprint is {first!r}; it is a text that is not empty")
    require(first == second, "two fingerprints of one model differ, so nothing would ever be found in the cache")
    return "the same text twice"
