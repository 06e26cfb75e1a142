"""How tokenizers cut numbers: toys with a known rule, and the published facts of real vocabularies."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest

from numgeom import Incompatible, NumberSet, Tokenizer
from numgeom_plugins.probes.boundaries import boundaries
from numgeom_plugins.probes.contexts import contexts
from numgeom_plugins.probes.id_layout import id_layout
from numgeom_plugins.probes.leading_zeros import leading_zeros
from numgeom_plugins.probes.merge_ranks import merge_ranks
from numgeom_plugins.probes.scheme import scheme
from numgeom_plugins.probes.written_forms import written_forms
from numgeom_plugins.sources.tokenizers import open_tokenizer

numbers = NumberSet.parse


class Cutter:
    """A tokenizer of chunks of three digits: from the left, or from the right."""

    name, kind, vocab_size, special_ids, notes = "cutter", "toy", 5000, frozenset[int](), ()

    def __init__(self, *, right: bool = False, chunk: int = 3) -> None:
        self._right = right
        self._chunk = chunk
        self._known: dict[str, int] = {}

    def encode(self, text: str) -> tuple[int, ...]:
        first = len(text) % self._chunk if self._right else 0
        cut = [text[:first], *(text[i : i + self._chunk] for i in range(first, len(text), self._chunk))]
        return tuple(self._known.setdefault(piece, len(self._known)) for piece in cut if piece)

    def encode_number(self, number: int, template: str = "{n}") -> tuple[int, ...]:
        return self.encode(str(number))

    def token_text(self, token_id: int) -> str:
        return next(piece for piece, held in self._known.items() if held == token_id)


@cache
def real(shared: Path, name: str) -> Tokenizer:
    return open_tokenizer(shared / "data" / "tokenizers" / name)


# --- known rules --------------------------------------------------------------------------------------


def test_chunks_from_the_left_and_from_the_right_are_told_apart() -> None:
    left, right = scheme(Cutter(), numbers("0..9")), scheme(Cutter(right=True), numbers("0..9"))
    assert (left["scheme"], left["fit"], left["chunk"]) == ("chunk-3 left to right", 1.0, 3)
    assert (right["scheme"], right["fit"], right["right_aligned"]) == ("chunk-3 right to left", 1.0, 1.0)


def test_a_left_scheme_aligns_with_the_right_only_where_the_length_is_a_multiple_of_the_chunk() -> None:
    # Of lengths 4..12, 6, 9 and 12 have all their 1, 2 and 3 cuts aligned: 6 of the 1+1+1+2+2+2+3+3+3 cuts.
    assert scheme(Cutter(), numbers("0..9"))["right_aligned"] == pytest.approx(6 / 18)


def test_single_digits_are_no_evidence_for_the_digit_scheme() -> None:
    assert scheme(Cutter(), numbers("0..9"))["digit"] == 0.0
    assert scheme(Cutter(chunk=1), numbers("0..9"))["scheme"] == "digit"


def test_one_token_for_every_number_is_a_scheme_of_its_own() -> None:
    assert scheme(Cutter(chunk=20), numbers("0..9"))["scheme"] == "whole number"


def test_boundaries_of_a_rule_have_no_entropy_and_of_two_rules_one_bit() -> None:
    class Both(Cutter):
        def encode_number(self, number: int, template: str = "{n}") -> tuple[int, ...]:
            self._right = number % 2 == 1
            return self.encode(str(number))

    regular = boundaries(Cutter(), numbers("1000..1999"))
    mixed = boundaries(Both(), numbers("1000..1999"))
    assert (regular["entropy"], regular["boundary_4_1"], regular["cut"]) == (0.0, 1.0, 1.0)
    assert mixed["entropy"] == pytest.approx(1.0)
    assert mixed["boundary_4_1"] == mixed["boundary_4_3"] == 0.5
    assert mixed["patterns"] == {"4": {"3+1": 500, "1+3": 500}}


def test_ids_in_order_of_value_correlate_perfectly() -> None:
    cutter = Cutter(chunk=4)
    for n in range(100):
        cutter.encode_number(n)
    found = id_layout(cutter, numbers("0..99"))
    assert found["spearman"] == pytest.approx(1.0)
    assert found["successive"] == 1.0


def test_forms_are_counted_as_running_text() -> None:
    found = written_forms(Cutter(chunk=1), numbers("1000..1009"))
    assert [found[form] for form in ("bare", "negative", "commas", "padded")] == [4.0, 5.0, 5.0, 4.0]
    assert len(found["counts"]["commas"]) == 10


# --- real vocabularies --------------------------------------------------------------------------------

SCHEMES = {
    "llama3": "chunk-3 left to right",
    "olmo2_dolma2": "chunk-3 left to right",
    "cl100k_base": "chunk-3 left to right",
    "qwen": "digit",
    "deepseek_llm": "digit",
    "starcoder": "digit",
    "gpt2": "irregular",
    "gpt_neox_20b": "irregular",
    "bert_base_uncased_wordpiece": "irregular",
}


@pytest.mark.parametrize(("name", "expected"), SCHEMES.items())
def test_real_schemes(shared: Path, name: str, expected: str) -> None:
    assert scheme(real(shared, name), numbers("0..9"))["scheme"] == expected


@pytest.mark.filterwarnings("ignore::numgeom.MeasurementWarning")
@pytest.mark.parametrize("name", ["llama2", "mistral_v1"])
def test_sentencepiece_digits_are_digits_in_spite_of_the_dummy_prefix(shared: Path, name: str) -> None:
    found = scheme(real(shared, name), numbers("0..9"))
    assert (found["scheme"], found["unknown"]) == ("digit", 0.0)


@pytest.mark.parametrize(
    ("name", "rho"),
    # science_anchors.md section 1: Spearman(id, n).
    [("llama3", 0.870), ("olmo2_dolma2", 0.870)],
)
def test_ids_follow_the_value_as_published(shared: Path, name: str, rho: float) -> None:
    assert id_layout(real(shared, name), numbers("0..999"))["spearman"] == pytest.approx(rho, abs=5e-4)


@pytest.mark.parametrize(("name", "rho"), [("gpt2", 0.891), ("gpt_neox_20b", 0.926)])
def test_ids_follow_the_value_on_the_first_run(shared: Path, name: str, rho: float) -> None:
    assert id_layout(real(shared, name), numbers("0..499"))["spearman"] == pytest.approx(rho, abs=5e-4)


def test_gpt2_has_other_tokens_after_a_space_and_llama3_has_not(shared: Path) -> None:
    assert contexts(real(shared, "gpt2"), numbers("0..99"))["space"] == 0.0
    assert contexts(real(shared, "llama3"), numbers("0..99"))["stable"] == 1.0


def test_llama3_cuts_four_digits_after_the_third_and_grouped_ones_at_the_comma(shared: Path) -> None:
    found: dict[str, Any] = boundaries(real(shared, "llama3"), numbers("1000..1999"))
    assert (found["boundary_4_1"], found["entropy"]) == (1.0, 0.0)
    assert written_forms(real(shared, "llama3"), numbers("1000..1999"))["commas"] == 3.0


SPIKES = {
    # science_anchors.md section 1: log(id + 1) at T = 2, 5, 10 and 100 over the median.
    "llama3": ("0..999", (6.9, 8.0, 6.3, 16.2)),
    "olmo2_dolma2": ("0..999", (6.9, 8.0, 6.3, 16.2)),
    "gpt2": ("0..499", (2.9, 4.9, 3.1, 10.7)),
    "gpt_neox_20b": ("0..499", (2.3, 4.4, 1.9, 11.1)),
}


@pytest.mark.parametrize(("name", "expected"), SPIKES.items())
def test_merge_ranks_have_the_published_lines(shared: Path, name: str, expected: tuple[str, tuple[float, ...]]) -> None:
    found = merge_ranks(real(shared, name), numbers(expected[0]))
    assert [found[f"spike_{t}"] for t in (2, 5, 10, 100)] == pytest.approx(expected[1], abs=0.06)
    assert (found["from"], found["to"]) == (0, int(expected[0].split("..")[1]))


def test_merge_ranks_take_the_longest_run_of_a_set_with_holes(shared: Path) -> None:
    # GPT-2's first hole is 521: the run 0..520 is cut to 0..499.
    found = merge_ranks(real(shared, "gpt2"), numbers("0..999"))
    assert (found["from"], found["to"]) == (0, 499)


def test_a_digit_vocabulary_has_no_merge_rank_spectrum(shared: Path) -> None:
    with pytest.raises(Incompatible, match=r"no 20 successive numbers of 0\.\.999 are one token each"):
        merge_ranks(real(shared, "qwen"), numbers("0..999"))


def test_llama3_holds_all_1110_digit_strings_and_007_among_them(shared: Path) -> None:
    found = leading_zeros(real(shared, "llama3"), numbers("0..9"))
    assert [found[f"strings_{k}"] for k in (1, 2, 3, 4)] == [10, 100, 1000, 0]
    assert found["padded"] == 110
    assert "007" in found["strings"]


# --- faults -------------------------------------------------------------------------------------------


class Mute(Cutter):
    def token_text(self, token_id: int) -> str:
        return "?"


@pytest.mark.parametrize("probe", [scheme, boundaries, id_layout, contexts])
def test_a_tokenizer_that_spells_no_number_is_refused_in_words(probe: Any) -> None:
    with pytest.raises(Incompatible, match="spells no"):
        probe(Mute(), numbers("0..20"))
