"""What follows from the card of a probe."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from typing import Any

from numgeom.errors import Incompatible
from numgeom.figures import entries, split
from numgeom.numbers import NumberSet
from numgeom.specs import ProbeSpec
from numgeom.testing.card import card_checks
from numgeom.testing.check import Check, CheckFailed, global_generators, require
from numgeom.testing.tokenizer import FakeTokenizer

SETS = {"bare": "0..120", "space": "0..120@space", "gaps": "0..5,50,990..1010", "negative": "-20..20", "one": "7"}


def _tokenizers() -> dict[str, FakeTokenizer]:
    return {
        "single tokens to 999": FakeTokenizer(),
        "digits only": FakeTokenizer(single=()),
        "a dummy prefix": FakeTokenizer(single=range(100), dummy_prefix=True),
        "a sign inside tokens": FakeTokenizer(single=range(-9, 100)),
        "spaces apart": FakeTokenizer(spaced=False),
    }


def probe_checks(spec: ProbeSpec) -> Iterator[Check]:
    """Every check that the card of a probe gives rise to."""

    def check(name: str, claim: str, run: Callable[[], str]) -> Check:
        return Check(name, claim, run, spec)

    yield from card_checks(spec, given=2)
    for name in SETS:
        yield check(f"plain_data[{name}]", "contract: names to plain data", partial(_plain, spec, name))
    yield check("tells_tokenizers_apart", "contract: looks at the tokenizer", lambda: _apart(spec))
    yield check("deterministic", "contract: values depend on the tokenizer alone", lambda: _deterministic(spec))
    yield check("input_untouched", "contract: inputs are shared", lambda: _untouched(spec))


def _probe(spec: ProbeSpec, tokenizer: FakeTokenizer, numbers: str) -> dict[str, Any]:
    found = spec.load()(tokenizer, NumberSet.parse(numbers), **spec.params)
    require(isinstance(found, Mapping), f"it gave {type(found).__name__}; a probe gives a mapping of names to values")
    require(bool(found), "it found nothing; give None for a value that does not exist")
    for name in found:
        require(isinstance(name, str) and name != "", f"it names a value {name!r}; names are text")
    plain, figures = split(found)
    return {**plain, **({"figures": entries(figures)} if figures else {})}


def _plain(spec: ProbeSpec, which: str) -> str:
    measured = 0
    for name, tokenizer in _tokenizers().items():
        try:
            found = _probe(spec, tokenizer, SETS[which])
        except Incompatible:
            continue
        try:
            json.dumps(found, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise CheckFailed(
                f"{name}, numbers {SETS[which]}: not plain data ({error}); use int, float, str, lists"
            ) from error
        measured += sum(isinstance(value, (bool, int, float)) for value in found.values())
    return f"{len(_tokenizers())} tokenizers, {measured} measured numbers"


def _apart(spec: ProbeSpec) -> str:
    found = []
    for tokenizer in _tokenizers().values():
        with suppress(Incompatible):
            found.append(_probe(spec, tokenizer, "-20..1200"))
    require(len(found) > 1, "it refused all tokenizers but one, so nothing could be compared")
    require(any(one != found[0] for one in found[1:]), f"it gives the same for {len(found)} tokenizers that differ")
    return f"{len(found)} tokenizers"


def _deterministic(spec: ProbeSpec) -> str:
    found = []
    for seed in (1, 2):
        with global_generators(seed):
            found.append(_probe(spec, FakeTokenizer(), SETS["bare"]))
    require(found[0] == found[1], "the same tokenizer gave different values")
    return "twice the same values"


def _untouched(spec: ProbeSpec) -> str:
    tokenizer = FakeTokenizer()
    before = repr(sorted(vars(tokenizer).items()))
    _probe(spec, tokenizer, SETS["bare"])
    require(repr(sorted(vars(tokenizer).items())) == before, "it changed the tokenizer")
    return "the tokenizer as before"
