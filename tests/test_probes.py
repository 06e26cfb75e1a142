"""Probes: known answers on toy tokenizers, published tables on real ones."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from numgeom import Incompatible, MeasurementWarning, NumberSet, Tokenizer, TokenizerError
from numgeom.figures import split
from numgeom_plugins import probes
from numgeom_plugins.probes.boundaries import boundaries
from numgeom_plugins.probes.contexts import contexts
from numgeom_plugins.probes.id_layout import id_layout
from numgeom_plugins.probes.leading_zeros import leading_zeros
from numgeom_plugins.probes.merge_ranks import merge_ranks
from numgeom_plugins.probes.scheme import scheme
from numgeom_plugins.probes.sign_consistency import sign_consistency
from numgeom_plugins.probes.single_tokens import single_tokens
from numgeom_plugins.probes.smallest_multi_token import smallest_multi_token
from numgeom_plugins.probes.token_counts import token_counts
from numgeom_plugins.probes.written_forms import written_forms
from numgeom_plugins.sources.tokenizers import open_tokenizer

PROBES: tuple[Callable[..., Mapping[str, Any]], ...] = (
    token_counts,
    single_tokens,
    smallest_multi_token,
    sign_consistency,
    scheme,
    boundaries,
    written_forms,
    contexts,
    id_layout,
)
numbers = NumberSet.parse


class Toy:
    """A tokenizer by greedy longest match over a list of pieces; what no piece covers is unknown."""

    kind = "toy"
    notes: tuple[str, ...] = ()

    def __init__(self, *pieces: str, prefix: str = "") -> None:
        self.name = "toy"
        self._pieces = ["<unk>", *pieces]
        self.vocab_size = len(self._pieces)
        self.special_ids = frozenset({0})
        self._prefix = prefix

    def _cut(self, text: str) -> tuple[int, ...]:
        ids: list[int] = []
        while text:
            piece = max((p for p in self._pieces[1:] if text.startswith(p)), key=len, default="")
            ids.append(self._pieces.index(piece) if piece else 0)
            text = text[len(piece) or 1 :]
        return tuple(ids)

    def encode(self, text: str) -> tuple[int, ...]:
        return self._cut(self._prefix + text)

    def encode_number(self, number: int, template: str = "{n}") -> tuple[int, ...]:
        before, _, after = template.partition("{n}")
        if not before.strip() and not after:
            return self._cut(before + str(number))
        if before.endswith("!"):
            raise TokenizerError("shared")
        return self._cut(str(number))

    def token_text(self, token_id: int) -> str:
        return self._pieces[token_id]


DIGITS = tuple("0123456789")


# --- known answers ------------------------------------------------------------------------------------


def test_the_toy_is_a_tokenizer() -> None:
    assert isinstance(Toy(*DIGITS), Tokenizer)


def test_counts_of_single_digits_are_numbers_of_digits() -> None:
    found = token_counts(Toy(*DIGITS), numbers("0..120"))
    assert [found["count_1"], found["count_2"], found["count_3"]] == [10, 90, 21]
    assert found["fertility"] == (10 + 2 * 90 + 3 * 21) / 121
    assert found["tokens_per_digit"] == 1.0
    assert found["counts"] == [len(str(n)) for n in range(121)]
    assert found["unknown"] == 0


def test_the_sign_is_a_token_but_not_a_digit() -> None:
    found = token_counts(Toy("-", *DIGITS), numbers("-9..-1"))
    assert found["count_1"] == 0
    assert found["count_2"] == 9
    assert found["tokens_per_digit"] == 2.0


def test_unknown_numbers_are_counted_apart() -> None:
    found = token_counts(Toy(*DIGITS[:7]), numbers("5..8"))
    assert found["counts"] == [1, 1, None, None]
    assert (found["count_1"], found["unknown"], found["fertility"]) == (2, 2, 1.0)
    nothing = token_counts(Toy("a"), numbers("5..8"))
    assert nothing == {"fertility": None, "tokens_per_digit": None, "unknown": 4, "counts": [None] * 4}


def test_runs_and_holes_of_single_tokens() -> None:
    toy = Toy(*DIGITS, "10", "11", "13", "15", "16", "17", "1000", "-", "-5", "00", "007", "0x", " 00")
    found = single_tokens(toy, numbers("-9..2000"))
    assert found["runs"] == [[-5, -5], [0, 11], [13, 13], [15, 17], [1000, 1000]]
    assert found["size"] == 18
    assert (found["longest_run_first"], found["longest_run_last"], found["longest_run_length"]) == (0, 11, 12)
    assert found["holes"][:6] == [-4, -3, -2, -1, 12, 14]
    assert found["n_holes"] == len(found["holes"]) == 4 + 2 + 982
    assert found["first_multi"] == 12
    assert [found[f"digits_{k}"] for k in ("1", "2", "3", "4_plus")] == [11, 6, 0, 1]
    assert found["non_canonical"] == 2


def test_a_set_with_gaps_has_no_holes_where_it_has_no_numbers() -> None:
    found = single_tokens(Toy(*DIGITS, "10", "30"), numbers("0..40:10"))
    assert (found["holes"], found["first_multi"], found["runs"]) == ([20], 20, [[0, 0], [10, 10], [30, 30]])


def test_single_tokens_where_there_are_none() -> None:
    found = single_tokens(Toy("-", *DIGITS), numbers("10..20"))
    assert (found["size"], found["longest_run_length"], found["n_holes"]) == (0, 0, 0)
    assert found["longest_run_first"] is None
    assert found["first_multi"] == 10
    assert single_tokens(Toy(*DIGITS), numbers("0..9"))["first_multi"] is None


def test_spaced_numbers_are_counted_in_their_own_form() -> None:
    toy = Toy(" ", *DIGITS, " 5", " 6", "000", " 00", " 0000")
    assert single_tokens(toy, numbers("0..9"))["size"] == 10
    spaced = single_tokens(toy, numbers("0..9@space"))
    assert (spaced["runs"], spaced["non_canonical"]) == ([[5, 6]], 2)


def test_the_smallest_multi_token_number_of_each_form() -> None:
    toy = Toy(" ", *DIGITS, *(f" {n}" for n in range(8)), "10", prefix=" ")
    with pytest.warns(MeasurementWarning, match="W-TOKENFORM: toy puts a dummy prefix"):
        assert smallest_multi_token(toy, numbers("0..9")) == {"bare": 11, "space": 8, "strict": 8}


def test_no_multi_token_number_below_the_limit_is_none() -> None:
    toy = Toy(*(str(n) for n in range(50)))
    assert smallest_multi_token(toy, numbers("0..9"), limit=50)["bare"] is None
    assert smallest_multi_token(toy, numbers("0..9"), limit=51)["bare"] == 50


def test_an_unknown_token_is_not_the_number() -> None:
    toy = Toy(*(digit for digit in DIGITS if digit != "3"))
    assert smallest_multi_token(toy, numbers("0..9"))["bare"] == 3


def test_a_sign_before_the_same_digits_is_consistent() -> None:
    for spec in ("0..25", "-25..25", "-25..-1"):
        found = sign_consistency(Toy("-", *DIGITS, "12"), numbers(spec))
        assert found == {
            "count_match": 1.0,
            "ids_match": 1.0,
            "count_matches": 25,
            "ids_matches": 25,
            "checked": 25,
            "sign_tokens": 1,
            "offenders": [],
        }


def test_a_merged_sign_is_an_offender() -> None:
    found = sign_consistency(Toy("-", *DIGITS, "-5", "12", "-1"), numbers("1..12"))
    # -5 is one token; -1, -10, -11 merge the sign; -12 is "-1", "2" where 12 is one token: count right, ids wrong.
    assert found["offenders"] == [1, 5, 10, 11, 12]
    assert (found["count_matches"], found["ids_matches"]) == (8, 7)
    assert found["ids_match"] == 7 / 12


def test_a_dummy_prefix_is_no_sign() -> None:
    toy = Toy(" ", " -", "-", *DIGITS, prefix=" ")
    with pytest.warns(MeasurementWarning, match="W-TOKENFORM"):
        found = sign_consistency(toy, numbers("0..30"))
    assert (found["count_match"], found["ids_match"], found["sign_tokens"]) == (1.0, 1.0, 1)
    spaced = sign_consistency(toy, numbers("0..30@space"))
    assert (spaced["count_match"], spaced["ids_match"]) == (1.0, 1.0)


def test_a_number_that_shares_its_token_with_a_template_is_an_offender() -> None:
    found = sign_consistency(Toy("-", *DIGITS), numbers("1..3@wow!{n}"))
    assert (found["offenders"], found["checked"], found["ids_match"]) == ([1, 2, 3], 3, 0.0)


def test_a_set_of_zero_alone_has_no_sign() -> None:
    with pytest.raises(Incompatible, match="a number other than 0"):
        sign_consistency(Toy("-", *DIGITS), numbers("0"))


@pytest.mark.parametrize("probe", PROBES)
def test_only_bare_numbers_feel_the_dummy_prefix(probe: Callable[..., Mapping[str, Any]]) -> None:
    toy = Toy(" ", "-", *DIGITS, prefix=" ")
    with pytest.warns(MeasurementWarning) as caught:
        probe(toy, numbers("0..9"))
    assert [str(warning.message)[:11] for warning in caught] == ["W-TOKENFORM"]
    if probe not in (smallest_multi_token, written_forms, contexts):  # these look at bare numbers whatever the set
        probe(toy, numbers("0..9@space"))


@pytest.mark.parametrize("probe", PROBES)
def test_what_a_probe_finds_is_plain_data(probe: Callable[..., Mapping[str, Any]]) -> None:
    found, _ = split(probe(Toy("-", *DIGITS, "42"), numbers("-50..50")))
    assert json.loads(json.dumps(found)) == found


def test_the_cards_name_the_probes() -> None:
    cards = {card.name: card for card in probes.numgeom_probes()}
    assert [card.load() for card in cards.values()] == [*PROBES, merge_ranks, leading_zeros]
    for card in cards.values():
        found, _ = split(card.load()(Toy("-", *map(str, range(40))), numbers("0..39"), **card.params))
        assert json.loads(json.dumps(found)) == found


# --- real tokenizers ----------------------------------------------------------------------------------


@cache
def opened(path: Path) -> Tokenizer:
    return open_tokenizer(path)


# Counts over -1000..1000; single tokens by digits in 0..9999, bare and spaced; first multi, bare and spaced.
TABLE = {
    "gpt2": ([820, 1000, 181], [10, 90, 719, 88], [10, 90, 405, 176], 521, 362),
    "p50k_base": ([820, 1000, 181], [10, 90, 719, 88], [10, 90, 405, 176], 521, 362),
    "llama3": ([1000, 1000, 1], [10, 90, 900, 0], [0, 0, 0, 0], 1000, 0),
    "olmo2_dolma2": ([1000, 1000, 1], [10, 90, 900, 0], [0, 0, 0, 0], 1000, 0),
    "olmo1_neox": ([878, 1000, 123], [10, 90, 777, 139], [10, 90, 544, 172], 531, 558),
    "gpt_neox_20b": ([878, 1000, 123], [10, 90, 777, 139], [10, 90, 544, 172], 531, 558),
}


@pytest.mark.parametrize("name", TABLE)
def test_published_table(shared: Path, name: str) -> None:
    tokenizer = opened(shared / "data/tokenizers" / name)
    counts, bare, spaced, first_bare, first_spaced = TABLE[name]
    found = token_counts(tokenizer, numbers("-1000..1000"))
    assert [found["count_1"], found["count_2"], found["count_3"]] == counts
    assert "count_4" not in found
    assert found["fertility"] == sum(k * count for k, count in enumerate(counts, start=1)) / 2001
    for form, digits, first in (("bare", bare, first_bare), ("space", spaced, first_spaced)):
        single = single_tokens(tokenizer, numbers(f"0..9999@{form}"))
        assert [single[f"digits_{k}"] for k in ("1", "2", "3", "4_plus")] == digits
        assert single["first_multi"] == first
    assert smallest_multi_token(tokenizer, numbers("0..9")) == {
        "bare": first_bare,
        "space": first_spaced,
        "strict": first_bare,
    }
    sign = sign_consistency(tokenizer, numbers("0..1000"))
    assert (sign["count_matches"], sign["ids_matches"], sign["offenders"]) == (1000, 1000, [])


def test_gpt2s_numbers_below_a_thousand(shared: Path) -> None:
    found = single_tokens(opened(shared / "data/tokenizers/gpt2"), numbers("0..999"))
    assert (found["size"], found["n_holes"]) == (819, 181)
    assert found["holes"][:5] == [521, 527, 531, 532, 534]
    assert found["holes"][-1] == 991
    assert (found["longest_run_first"], found["longest_run_last"]) == (0, 520)


@pytest.mark.parametrize("name", ["cl100k_base", "llama3", "olmo2_dolma2"])
def test_vocabularies_of_1110_digit_strings(shared: Path, name: str) -> None:
    found = single_tokens(opened(shared / "data/tokenizers" / name), numbers("0..999"))
    assert found["size"] + found["non_canonical"] == 10 + 100 + 1000


@pytest.mark.parametrize("name", ["llama2", "mistral_v1", "stories260k"])
def test_a_sentencepiece_model_gives_no_false_alarm_about_signs(shared: Path, name: str) -> None:
    tokenizer = opened(shared / "data/tokenizers" / name)
    with pytest.warns(MeasurementWarning, match="W-TOKENFORM"):
        found = sign_consistency(tokenizer, numbers("0..1000"))
    assert (found["count_matches"], found["ids_matches"], found["offenders"]) == (1000, 1000, [])
    with pytest.warns(MeasurementWarning, match="W-TOKENFORM"):
        assert smallest_multi_token(tokenizer, numbers("0..9")) == {"bare": 10, "space": 0, "strict": 0}


@pytest.mark.parametrize("name", ["llama2", "mistral_v1"])
def test_the_published_counts_of_llama_2_include_its_dummy_prefix(shared: Path, name: str) -> None:
    tokenizer = opened(shared / "data/tokenizers" / name)
    lengths = [len(tokenizer.encode(str(n))) for n in range(-1000, 1001)]
    assert {k: lengths.count(k) for k in sorted(set(lengths))} == {2: 19, 3: 180, 4: 1800, 5: 2}
    with pytest.warns(MeasurementWarning, match="W-TOKENFORM"):
        found = token_counts(tokenizer, numbers("0..999"))
    assert [found[f"count_{k}"] for k in (1, 2, 3)] == [10, 90, 900]
    assert found["tokens_per_digit"] == 1.0


def test_t5_merges_some_signs_with_digits(shared: Path) -> None:
    t5 = opened(shared / "data/tokenizers/t5_translate_spiece")
    with pytest.warns(MeasurementWarning, match="W-TOKENFORM"):
        found = sign_consistency(t5, numbers("1..20"))
    assert 5 in found["offenders"]
    assert t5.token_text(t5.encode_number(-5)[0]) == "-5"


def test_gpt2_writes_digits_after_a_sign_without_their_space(shared: Path) -> None:
    found = sign_consistency(opened(shared / "data/tokenizers/gpt2"), numbers("1..100@space"))
    assert (found["count_match"], found["ids_match"]) == (1.0, 0.0)
