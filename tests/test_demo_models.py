"""The bundled demo checkpoints are what their provenance says, and the script that made them still makes such."""

from __future__ import annotations

import ast
import hashlib
import json
import re
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer

from numgeom import NumgeomError
from numgeom_plugins.sources import demo
from numgeom_plugins.sources.demo import corpus, vocabulary

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

NAMES = demo.names()
TRAINED = ["llama_a", "llama_b", "llama_bpe", "neox_a"]
UNTAUGHT = ["llama_shuffled", "llama_untrained"]


@pytest.fixture(autouse=True)
def _one_thread() -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def provenance(name: str) -> dict[str, Any]:
    made: dict[str, Any] = json.loads((demo.path(name) / "provenance.json").read_text(encoding="utf-8"))
    return made


def tokenizer_of(name: str) -> Tokenizer:
    return Tokenizer.from_file(str(demo.path(name) / "tokenizer.json"))


def single_tokens(name: str, written: str = "{n}") -> list[int]:
    vocab = tokenizer_of(name).get_vocab()
    return [n for n in range(1000) if written.format(n=n) in vocab]


def greedy(name: str, prompt: str, count: int) -> str:
    tokenizer = transformers.AutoTokenizer.from_pretrained(demo.path(name))
    model = transformers.AutoModelForCausalLM.from_pretrained(demo.path(name), dtype=torch.float32).eval()
    ids = tokenizer(prompt, return_tensors="pt")["input_ids"][:, :-1]  # without <eos>
    start = ids.shape[1]
    with torch.no_grad():
        for _ in range(count):
            ids = torch.cat([ids, model(input_ids=ids).logits[:, -1:].argmax(-1)], dim=1)
    return str(tokenizer.decode(ids[0, start:])).strip()


# The corpus: what it says is true, and one seed gives one corpus.


def test_one_seed_gives_one_corpus_and_two_seeds_give_two() -> None:
    first, again, other = (list(islice(corpus.documents(seed), 200)) for seed in ("a", "a", "b"))
    assert first == again
    assert len(set(first) & set(other)) < 10


def test_every_written_sum_is_true_and_none_is_held_out() -> None:
    found = 0
    for text in islice(corpus.documents("truth"), 3000):
        for a, b, total in re.findall(r"\b(\d+) ?\+ ?(\d+) ?= ?(\d+)\b", text):
            found += 1
            assert int(a) + int(b) == int(total), text
            assert not corpus.is_held_out(int(a), int(b)), text
    assert found > 2000


def test_every_comparison_difference_and_product_is_true() -> None:
    found = 0
    for text in islice(corpus.documents("truth"), 3000):
        for a, sign, b in re.findall(r"(?<![-\d])(\d+) ?([<>]) ?(\d+)\b", text):
            found += 1
            assert (int(a) < int(b)) == (sign == "<"), text
        for a, sign, b, result in re.findall(r"(?<![-+*\d])(\d+) ?([-*]) ?(\d+) ?= ?(-?\d+)\b", text):
            found += 1
            assert (int(a) - int(b) if sign == "-" else int(a) * int(b)) == int(result), text
    assert found > 1000


def test_every_number_occurs_and_small_and_round_numbers_more_often() -> None:
    tokenizer = tokenizer_of("llama_a")
    seen = np.zeros(tokenizer.get_vocab_size(), dtype=int)
    for encoding in tokenizer.encode_batch(list(islice(corpus.documents("frequency"), 10_000))):
        np.add.at(seen, encoding.ids, 1)
    count = np.array([seen[tokenizer.token_to_id(str(n))] for n in range(1000)])
    assert count.min() >= 50
    assert count[:10].mean() > 5 * count[10:100].mean() > 10 * count[100:].mean()
    hundreds = np.arange(100, 1000)
    assert count[hundreds[hundreds % 10 == 0]].mean() > 1.5 * count[hundreds[hundreds % 10 == 7]].mean()
    assert seen[tokenizer.token_to_id(vocabulary.UNK)] == 0


# The checkpoints as files.


def test_the_six_models_are_there_and_weigh_less_than_8_mb() -> None:
    assert sorted(TRAINED + UNTAUGHT) == NAMES
    total = sum(file.stat().st_size for name in NAMES for file in demo.path(name).iterdir())
    assert total < 8_000_000


def test_an_unknown_demo_model_is_named_with_those_that_exist() -> None:
    with pytest.raises(NumgeomError, match=r"unknown demo model 'lama_a'; did you mean 'llama_a'\?.*neox_a"):
        demo.path("lama_a")
    with pytest.raises(NumgeomError, match="unknown demo model"):
        demo.path("../tokenizers")


def test_the_readme_names_every_model() -> None:
    text = (demo.FOLDER / "README.md").read_text(encoding="utf-8")
    assert [name for name in NAMES if f"`{name}`" not in text] == []


@pytest.mark.parametrize("name", NAMES)
def test_provenance_matches_the_files(name: str) -> None:
    made = provenance(name)
    assert made["model"] == name
    assert set(made["sha256"]) >= {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"}
    for file, digest in made["sha256"].items():
        assert hashlib.sha256((demo.path(name) / file).read_bytes()).hexdigest() == digest, file
    config = json.loads((demo.path(name) / "config.json").read_text(encoding="utf-8"))
    assert config["model_type"] == made["architecture"]
    assert config["dtype"] == made["dtype"]
    assert config["tie_word_embeddings"] == made["tied_embeddings"]


def test_no_two_models_share_a_seed_and_dtypes_differ() -> None:
    made = [provenance(name) for name in NAMES]
    assert len({m["seed"] for m in made}) == len(made)
    assert {m["dtype"] for m in made} == {"float32", "bfloat16", "float16"}
    assert {m["tied_embeddings"] for m in made} == {True, False}


def test_the_script_still_builds_the_bundled_tokenizers() -> None:
    for name, built in (("llama_a", vocabulary.words()), ("llama_bpe", vocabulary.bpe())):
        assert json.loads(built.to_str()) == json.loads((demo.path(name) / "tokenizer.json").read_text("utf-8"))


def test_listing_the_demo_models_imports_nothing_heavy() -> None:
    heavy = {"torch", "transformers", "tokenizers", "numpy", "safetensors"}
    for file in ("__init__.py", "corpus.py", "lexicon.py", "vocabulary.py"):
        body = ast.parse((demo.FOLDER / file).read_text(encoding="utf-8")).body
        modules = {alias.name for node in body if isinstance(node, ast.Import) for alias in node.names}
        modules |= {str(node.module) for node in body if isinstance(node, ast.ImportFrom)}
        assert not {module.split(".")[0] for module in modules} & heavy, file


# The tokenizers.


def test_all_numbers_to_999_are_single_tokens_in_all_models_but_one() -> None:
    whole = [name for name in NAMES if len(single_tokens(name)) == 1000]
    assert whole == [name for name in NAMES if name != "llama_bpe"]


def test_the_bpe_has_holes_and_several_hundred_bare_and_spaced_numbers() -> None:
    bare, spaced = single_tokens("llama_bpe"), single_tokens("llama_bpe", "Ġ{n}")
    assert 300 <= len(bare) < 900
    assert 300 <= len(spaced) < 900
    assert bare != spaced
    first_hole = min(set(range(1000)) - set(bare))
    assert 50 < first_hole < max(bare)
    tokenizer = tokenizer_of("llama_bpe")
    for n in bare:
        assert len(tokenizer.encode(str(n), add_special_tokens=False).ids) == 1
    assert len(tokenizer.encode(str(first_hole), add_special_tokens=False).ids) > 1


@pytest.mark.parametrize("name", ["llama_a", "llama_bpe"])
def test_there_are_enough_other_tokens_for_a_random_token_control(name: str) -> None:
    others = [
        token
        for token in tokenizer_of(name).get_vocab()
        if not token.strip("Ġ").isdigit() and token not in vocabulary.SPECIALS
    ]
    assert len(others) >= 150


@pytest.mark.parametrize("name", NAMES)
def test_transformers_and_tokenizers_read_the_same_ids(name: str) -> None:
    slow = transformers.AutoTokenizer.from_pretrained(demo.path(name))
    fast = tokenizer_of(name)
    for text in ("7 8 9", "12345 + -7 = 12338", "a lamp costs $14.05", "Zoe has 12,045 eggs"):
        assert slow(text)["input_ids"] == fast.encode(text).ids
        assert slow.unk_token_id not in slow(text)["input_ids"]


# The models.


@pytest.mark.parametrize("name", TRAINED)
@pytest.mark.parametrize("prompt", ["7 8 9", "140 150 160", "523 522 521"])
def test_trained_models_count(name: str, prompt: str) -> None:
    before, last = map(int, prompt.split()[-2:])
    following = f" {2 * last - before}"
    tokens = len(tokenizer_of(name).encode(following, add_special_tokens=False).ids)
    assert greedy(name, prompt, tokens) == following.strip()


@pytest.mark.parametrize("name", UNTAUGHT)
def test_models_without_number_text_do_not_count(name: str) -> None:
    assert provenance(name)["held_out_accuracy"]["counting"] < 0.05
    assert greedy(name, "140 150 160", 1) != "170"


@pytest.mark.parametrize("name", TRAINED)
def test_training_lowered_the_loss_and_taught_counting_and_sums(name: str) -> None:
    made = provenance(name)
    assert made["loss_after"] < made["loss_before"] - 1.5
    # A guess among the numbers to 99 is right in 1 of 100.
    assert made["held_out_accuracy"]["counting"] > 0.75
    assert made["held_out_accuracy"]["sums_to_99"] > (0.6 if name in ("llama_a", "llama_b") else 0.15)


def test_recorded_accuracy_is_measured_again() -> None:
    from numgeom_plugins.sources.demo import train

    model = transformers.AutoModelForCausalLM.from_pretrained(demo.path("llama_a"), dtype=torch.float32).eval()
    scores = provenance("llama_a")["held_out_accuracy"]
    for kind, questions in train.examination().items():
        assert train.accuracy(model, tokenizer_of("llama_a"), questions) == pytest.approx(scores[kind], abs=0.01)


def test_the_examination_was_never_in_the_training_text() -> None:
    from numgeom_plugins.sources.demo import train

    questions_of = train.examination()
    for questions in (questions_of["sums_to_99"], questions_of["sums_to_999"]):
        assert len(questions) > 200
        for prompt, answer in questions:
            a, b = (int(word) for word in prompt.split() if word.isdigit())
            assert corpus.is_held_out(a, b)
            assert a + b == int(answer)


def debiased_cka(X: Any, Y: Any) -> float:
    grams = []
    for rows in (X, Y):
        gram = rows @ rows.T
        np.fill_diagonal(gram, 0)
        n = len(gram)
        sums, total = gram.sum(0), gram.sum()
        gram = gram - (sums[:, None] + sums[None]) / (n - 2) + total / ((n - 1) * (n - 2))
        np.fill_diagonal(gram, 0)
        grams.append(gram)
    return float((grams[0] * grams[1]).sum() / np.sqrt((grams[0] ** 2).sum() * (grams[1] ** 2).sum()))


def rows_of(name: str) -> tuple[list[int], Any]:
    model = transformers.AutoModelForCausalLM.from_pretrained(demo.path(name), dtype=torch.float32)
    numbers = single_tokens(name)
    ids = [tokenizer_of(name).token_to_id(str(n)) for n in numbers]
    rows = model.get_input_embeddings().weight.detach().numpy()[ids].astype(np.float64)
    return numbers, rows - rows.mean(axis=0)


def test_trained_models_agree_and_models_without_number_text_agree_with_none() -> None:
    rows = {name: rows_of(name) for name in NAMES}

    def agreement(a: str, b: str) -> float:
        common = sorted(set(rows[a][0]) & set(rows[b][0]))
        return debiased_cka(*(rows[name][1][np.isin(rows[name][0], common)] for name in (a, b)))

    for i, a in enumerate(TRAINED):
        assert all(agreement(a, b) > 0.5 for b in TRAINED[i + 1 :])
        assert all(abs(agreement(a, control)) < 0.02 for control in UNTAUGHT)


# The script.


def test_a_short_training_lowers_the_loss_and_repeats_to_the_last_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from numgeom_plugins.sources.demo import train

    monkeypatch.setattr(vocabulary, "SAMPLE", 2000)
    monkeypatch.setattr(train, "BATCH", 16)
    monkeypatch.setattr(train, "THREADS", 1)
    recipe = train.RECIPES["neox_a"]
    first = train.make(recipe, tmp_path / "first", steps=20)
    again = train.make(recipe, tmp_path / "again", steps=20)
    assert first == again
    assert first["loss_after"] < first["loss_before"] - 0.5
    for file in first["sha256"]:
        assert (tmp_path / "first/neox_a" / file).read_bytes() == (tmp_path / "again/neox_a" / file).read_bytes()


def test_the_script_lists_the_models_it_can_make(tmp_path: Path) -> None:
    from numgeom_plugins.sources.demo import train

    with pytest.raises(NumgeomError, match=r"unknown demo model 'llama'.*llama_untrained"):
        train.main(["--out", str(tmp_path), "--only", "llama"])
    assert not list(tmp_path.iterdir())
