"""Frequency controls: merge ranks from a tokenizer, counts from a user's file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import numgeom
from numgeom import ModelSpec, NumberSet, NumgeomError
from numgeom_plugins.sources.counts import read_counts
from numgeom_plugins.sources.merge_rank import read_merge_rank
from numgeom_plugins.sources.opening import tokenizer_of

THOUSAND = NumberSet.parse("0..999")


def message(call: Callable[[], object]) -> str:
    with pytest.raises(NumgeomError) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


# Merge ranks


@pytest.mark.parametrize(
    ("name", "count"), [("gpt2", 819), ("llama3", 1000), ("olmo2_dolma2", 1000), ("cl100k_base", 1000)]
)
def test_merge_ranks_are_log_ids(shared: Path, name: str, count: int) -> None:
    model = ModelSpec(name=name, source="tokenizer", id=str(shared / "data/tokenizers" / name))
    rep = read_merge_rank(model, THOUSAND, read="merge_rank")
    assert rep.matrix.shape == (count, 1)
    tokenizer = tokenizer_of(model)
    ids = [tokenizer.encode_number(int(n))[0] for n in rep.numbers]
    np.testing.assert_array_equal(rep.matrix[:, 0], np.log(np.asarray(ids) + 1.0))


def test_more_frequent_numbers_come_first(shared: Path) -> None:
    """Round numbers and short ones are merged earlier: what any claim about periods 2, 5 and 10 must beat."""
    model = ModelSpec(name="llama3", source="tokenizer", id=str(shared / "data/tokenizers/llama3"))
    rank = read_merge_rank(model, THOUSAND, read="merge_rank").matrix[:, 0]
    round_numbers = np.arange(100, 1000) % 10 == 0
    assert np.median(rank[100:][round_numbers]) < np.median(rank[100:][~round_numbers])
    assert rank[:10].max() < rank[10:100].mean() < rank[100:].mean()


def test_merge_ranks_of_a_model_need_no_weights(shared: Path) -> None:
    tokenizer = f"g=tokenizer:{shared / 'data/tokenizers/gpt2'}"
    study = numgeom.compare(
        [tokenizer, f"o=tokenizer:{shared / 'data/tokenizers/olmo2_dolma2'}"],
        sources="merge_rank",
        metrics="cka_linear_debiased",
        numbers="0..99",
        draws=19,
    )
    assert set(study.frame["status"]) == {"ok"}
    assert set(study.frame["dim_a"]) == {1}


def test_random_rows_are_ranks_of_tokens_that_are_no_numbers() -> None:
    model = ModelSpec(name="m", source="demo", id="llama_bpe")
    rep = read_merge_rank(model, THOUSAND, read="merge_rank")
    ids = np.asarray(rep.provenance["random_token_ids"])
    tokenizer = tokenizer_of(model)
    assert rep.random_rows is not None
    np.testing.assert_array_equal(rep.random_rows[:, 0], np.log(ids + 1.0))
    assert not any(tokenizer.token_text(int(token)).strip().isdigit() for token in ids)
    assert tokenizer.special_ids.isdisjoint(ids.tolist())


def test_a_tokenizer_alone_still_has_no_rows_of_its_own() -> None:
    text = message(lambda: numgeom.load("tokenizer:t.json", cache=False))
    assert "models of scheme 'tokenizer' hold no rows" in text


def test_digits_alone_have_no_rank(shared: Path) -> None:
    model = ModelSpec(name="qwen", source="tokenizer", id=str(shared / "data/tokenizers/qwen"))
    text = message(lambda: read_merge_rank(model, NumberSet.parse("100..200"), read="merge_rank"))
    assert "no number of 100..200 is one token" in text


# Counts


def counts(path: Path, numbers: str = "0..999") -> dict[int, float]:
    rep = read_counts(ModelSpec(name="c", source="counts", id=str(path)), NumberSet.parse(numbers), read="counts")
    return dict(zip(rep.numbers.tolist(), np.expm1(rep.matrix[:, 0]).round(6).tolist(), strict=True))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("c.csv", "number,count\n7,99\n8,0\n\n12,1.5e3\n"),
        ("c.tsv", "7\t99\n8\t0\n12\t1500\n"),
        ("c.csv", "number;count\n7;99\n8;0\n12;1500\n"),
        ("c.txt", "7 99\n8   0\n12 1500\n"),
        ("c.json", '{"7": 99, "8": 0, "12": 1500}'),
        ("c.csv", '\ufeff"number","count"\r\n"7","99"\r\n"8","0"\r\n"12","1500"\r\n'),
    ],
)
def test_every_way_to_write_counts(tmp_path: Path, name: str, text: str) -> None:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8", newline="")
    assert counts(path) == {7: 99.0, 8: 0.0, 12: 1500.0}
    assert counts(path, "0..7") == {7: 99.0}


def test_counts_are_held_against_a_model(tmp_path: Path) -> None:
    path = tmp_path / "freq.csv"
    path.write_text("".join(f"{n},{1000 // (n + 1)}\n" for n in range(100)))
    study = numgeom.compare(["demo:llama_a", f"counts:{path}"], metrics="cka_linear_debiased", draws=19)
    assert set(study.frame["n"]) == {100}
    assert set(study.frame["source_a"]) | set(study.frame["source_b"]) == {"counts", "input"}


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("c.csv", "7,99\n7,98\n", "line 2 counts 7 a second time"),
        ("c.csv", "7,-1\n", "the count of 7 is '-1'; it must be a number of at least 0"),
        ("c.csv", "7,nan\n", "the count of 7 is 'nan'"),
        ("c.csv", "7,many\n", "the count of 7 is 'many'"),
        ("c.csv", "number,count\n7,1\nseven,2\n", "line 3: 'seven' is not an integer"),
        ("c.csv", "7,1,2\n", "line 1: 3 columns; write one number,count a line"),
        ("c.csv", "1000,5\n", "counts none of the numbers 0..999; it holds 1 others"),
        ("c.json", '{"7": 1, "7": 2}', "counts 7 a second time"),
        ("c.json", "[[7, 1]]", "is not a JSON object"),
        ("c.json", '{"7": true}', "the count of 7 is True"),
        ("c.json", '{"7"', "is not JSON"),
        ("c.csv", "", "counts none of the numbers"),
    ],
)
def test_faults_of_a_counts_file(tmp_path: Path, name: str, text: str, said: str) -> None:
    path = tmp_path / name
    path.write_text(text)
    assert said in message(lambda: counts(path))


def test_a_counts_file_that_is_not_text(tmp_path: Path) -> None:
    path = tmp_path / "c.csv"
    path.write_bytes(b"\xff\xfe\x00")
    assert "is not UTF-8 text" in message(lambda: counts(path))
    assert "cannot read" in message(lambda: counts(tmp_path / "none.csv"))
