"""Hidden states are those of transformers to the last bit, at the number's last token, whatever stands around it."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_models
from hub_server import Repository, serving, turn_to
from small_repository import commit

import numgeom
from numgeom import MeasurementWarning, ModelSpec, NumberSet, NumgeomError, Representation, SourceError
from numgeom.specs import SourceSpec
from numgeom_plugins.sources import numgeom_sources
from numgeom_plugins.sources.hidden import read_hidden
from numgeom_plugins.sources.stack import Stack, find_device
from numgeom_plugins.sources.templates import parse_templates, write_all

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

CARD: SourceSpec = next(card for card in numgeom_sources() if card.name == "hidden")
MIXED = NumberSet.parse("0..59")  # tiny_models writes 0..39 as one token and 40..59 as two
ALONE = NumberSet.parse("0..39")


@pytest.fixture(autouse=True)
def _one_thread() -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> ModelSpec:
    return tiny_models.save("llama", tmp_path_factory.mktemp("llama"))


def read(model: ModelSpec, numbers: NumberSet = ALONE, **params: Any) -> Representation:
    return read_hidden(model, numbers, **{"read": "hidden:2", **CARD.params, "controls": 0, "device": "cpu", **params})


def read_all(model: ModelSpec, numbers: NumberSet, **params: Any) -> dict[str, Representation]:
    asked = {**CARD.params, "controls": 0, "device": "cpu", **params}
    found = read_hidden.read_many(model, numbers, reads=read_hidden.readings(model, **asked), **asked)
    return {name: rep for name, changed, rep in found if not changed}


def message(call: Callable[[], object], error: type[NumgeomError] = NumgeomError) -> str:
    with pytest.raises(error) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def runnable(model: ModelSpec) -> tuple[Any, Any]:
    """The model and the tokenizer as anyone opens them."""
    opened = transformers.AutoModel.from_pretrained(model.id, dtype=torch.float32).eval()
    return getattr(opened, "get_encoder", lambda: opened)() if model.name == "t5" else opened, (
        transformers.AutoTokenizer.from_pretrained(model.id)
    )


# Equality with transformers


@pytest.mark.filterwarnings("ignore::numgeom.MeasurementWarning")
@pytest.mark.parametrize("name", tiny_models.ARCHITECTURES)
def test_rows_are_output_hidden_states_to_the_last_bit(tmp_path: Path, name: str) -> None:
    model = tiny_models.save(name, tmp_path)
    opened, tokenizer = runnable(model)
    layers = read_all(model, MIXED)
    assert list(layers) == [f"hidden:{k}" for k in range(tiny_models.DEEP + 1)]
    # Qwen2's own class writes every digit alone, whatever the file says.
    single = 10 if name == "qwen2" else 40
    for numbers in (range(single), range(single, 60)):  # texts of one length are one batch
        inputs = tokenizer([str(n) for n in numbers], return_tensors="pt")
        with torch.no_grad():
            states = opened(**inputs, output_hidden_states=True).hidden_states
        assert len(states) == len(layers)
        for rep, state in zip(layers.values(), states, strict=True):
            mine = rep.restrict(np.asarray(numbers))
            assert mine.matrix.dtype == np.float32
            # Every text ends in "</s>": the number's last token is the one before it.
            np.testing.assert_array_equal(mine.matrix, state[:, -2].numpy())


@pytest.mark.filterwarnings("ignore::numgeom.MeasurementWarning")
@pytest.mark.parametrize("name", ["llama", "gpt2", "bert"])
def test_padding_changes_nothing_but_rounding(tmp_path: Path, name: str) -> None:
    model = tiny_models.save(name, tmp_path)
    opened, tokenizer = runnable(model)
    tokenizer.pad_token, tokenizer.padding_side = "</s>", "right"
    inputs = tokenizer([str(n) for n in MIXED], return_tensors="pt", padding=True)
    with torch.no_grad():
        state = opened(**inputs, output_hidden_states=True).hidden_states[2]
    last = [2 if n >= 40 else 1 for n in MIXED]
    np.testing.assert_allclose(read(model, MIXED).matrix, state[range(60), last].numpy(), atol=2e-6)


def test_the_row_is_that_of_the_last_token_of_the_number(llama: ModelSpec) -> None:
    opened, tokenizer = runnable(llama)
    with pytest.warns(MeasurementWarning, match="W-TOKENFORM"):
        rep = read(llama, NumberSet.parse("7,57,58@1 {n}+5"))
    for row, n in zip(rep.matrix, rep.numbers, strict=True):
        inputs = tokenizer(f"1 {n}+5", return_tensors="pt")
        tokens = tokenizer.convert_ids_to_tokens(inputs["input_ids"][0])
        place = tokens.index("+") - 1
        assert tokens[place] == str(n)[-1]
        with torch.no_grad():
            state = opened(**inputs, output_hidden_states=True).hidden_states[2][0, place]
        np.testing.assert_allclose(row, state.numpy(), atol=2e-6)
    assert tokenizer.convert_ids_to_tokens(rep.token_ids) == ["7", "7", "8"]


def test_a_tokenizer_without_offsets_is_counted() -> None:
    tokenizer = transformers.ByT5Tokenizer()
    assert not tokenizer.is_fast
    for template, first in (("{n}", 0), ("ä {n}+", 3), ("= {n} =", 2)):  # bytes before the number
        (word,) = write_all(tokenizer, [123], template)
        assert word.span == (first, first + 2)
        assert tokenizer.decode(word.ids[word.span[0] : word.span[1] + 1]) == "123"
        assert word.pieces == 3


def test_a_dummy_prefix_is_passed_over_and_told(tmp_path: Path) -> None:
    model = tiny_models.save("llama", tmp_path, tokens=tiny_models.sentencepiece_like())
    with pytest.warns(MeasurementWarning, match="a space of its own"):
        rep = read(model, NumberSet.parse("0..9"))
    assert rep.token_ids is not None
    assert rep.token_ids.tolist() == list(range(4, 14))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read(model, NumberSet.parse("0..9@={n}"))


def test_a_number_that_shares_its_token_with_the_text_has_no_row(llama: ModelSpec) -> None:
    rep = read(llama, NumberSet.parse("0..59@1{n}"))
    # "1" and "2" make the token "12", and so on up to "19"; "1" and "41" make "14" and "1".
    assert set(rep.numbers.tolist()).isdisjoint(range(10))
    assert "share a token" in " ".join(rep.provenance["notes"])
    assert "is legible in '1{n}'" in message(lambda: read(llama, NumberSet.parse("0..9@1{n}")))


# Layers, blocks and the final norm


def test_all_layers_cost_one_pass(llama: ModelSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    opened: list[str] = []
    states, start = Stack.states, Stack.__init__

    def counted(self: Stack, inputs: Any, **options: Any) -> Any:
        calls.append(len(inputs["input_ids"]))
        return states(self, inputs, **options)

    def loading(self: Stack, name: str, *args: Any, **options: Any) -> None:
        opened.append(name)
        start(self, name, *args, **options)

    monkeypatch.setattr(Stack, "states", counted)
    monkeypatch.setattr(Stack, "__init__", loading)
    both = [f"a={llama.id}", f"b={llama.id}"]
    asked = {"sources": "hidden", "layers": "all", "metrics": "cka_linear_debiased", "nulls": "row_permutation"}
    study = numgeom.compare(both, numbers="0..39", draws=9, **asked)
    assert len(study.frame) == 16
    assert opened == ["a"]  # the cache knows that b is the same files
    assert sum(call for call in calls if call > 1) == 40 + 76  # each number and each random token once
    numgeom.compare(both, numbers="0..39", draws=9, **asked)
    assert len(opened) == 1


def test_before_a_block_is_after_the_one_before(llama: ModelSpec) -> None:
    before = read_all(llama, ALONE, block="before")
    after = read_all(llama, ALONE)
    assert list(before) == ["hidden:1", "hidden:2", "hidden:3"]
    np.testing.assert_array_equal(before["hidden:2"].matrix, after["hidden:1"].matrix)
    text = message(lambda: read(llama, read="hidden:0", block="before"))
    assert "hidden:1 to hidden:3 (hidden:1 is the input of the first block)" in text


@pytest.mark.parametrize("name", ["llama", "gpt2", "t5", "mamba"])
def test_the_last_layer_before_the_final_norm(tmp_path: Path, name: str) -> None:
    model = tiny_models.save(name, tmp_path)
    opened, _ = runnable(model)
    raw, normed = (read(model, read="hidden:3", final_norm=flag) for flag in (False, True))
    assert (raw.provenance["final_norm"], normed.provenance["final_norm"]) == (False, True)
    norm = next(m for key, m in opened.named_modules() if key in ("norm", "ln_f", "final_layer_norm", "norm_f"))
    with torch.no_grad():
        expected = norm(torch.tensor(raw.matrix)).numpy()
    np.testing.assert_allclose(normed.matrix, expected, atol=1e-6)
    assert not np.allclose(raw.matrix, normed.matrix)
    np.testing.assert_array_equal(read(model, final_norm=False).matrix, read(model).matrix)


def test_models_that_end_in_a_block_say_that_nothing_follows(tmp_path: Path) -> None:
    rep = read(tiny_models.save("bert", tmp_path), read="hidden:3")
    assert rep.provenance["final_norm"] is False


# Templates


def test_templates_are_averaged_and_each_is_kept(llama: ModelSpec) -> None:
    several = "bare|={n}|{n}+"
    each = [read(llama, templates=name) for name in several.split("|")]
    mean = read(llama, templates=several)
    np.testing.assert_allclose(mean.matrix, np.mean([rep.matrix.astype(float) for rep in each], axis=0), atol=1e-12)
    assert mean.provenance["templates"] == ["bare", "={n}", "{n}+"]
    np.testing.assert_array_equal(each[1].matrix, read(llama, NumberSet.parse("0..39@={n}")).matrix)


def test_replicates_are_found_by_name_without_running_the_model(
    llama: ModelSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    mean = numgeom.load(llama.id, numbers="0..39", source="hidden:2(templates=bare|{n}+)")
    monkeypatch.setattr(Stack, "__init__", lambda *args, **options: pytest.fail("the model was opened again"))
    each = [numgeom.load(llama.id, numbers="0..39", source=f"hidden:2(templates={t})") for t in ("bare", "{n}+")]
    np.testing.assert_allclose(mean.matrix, (each[0].matrix.astype(float) + each[1].matrix) / 2, atol=1e-12)


def test_template_faults() -> None:
    bare = NumberSet.parse("0..9")
    assert parse_templates(["{n} apples", " {n}"], bare) == {"{n} apples": "{n} apples", "space": " {n}"}
    assert "exactly once" in message(lambda: parse_templates("no number", bare))
    assert "named twice" in message(lambda: parse_templates("bare|{n}", bare))
    assert "leave one of them out" in message(lambda: parse_templates("space", NumberSet.parse("0..9@={n}")))


# Controls and warnings


def test_random_rows_are_tokens_in_the_place_of_a_number(llama: ModelSpec) -> None:
    opened, tokenizer = runnable(llama)
    rep = read(llama, NumberSet.parse("0..39@={n}+"), controls=30)
    ids = rep.provenance["random_token_ids"]
    assert rep.random_rows is not None
    assert len(ids) == len(rep.random_rows) == len(set(ids)) == 30
    texts = tokenizer.convert_ids_to_tokens(ids)
    assert not any(text.isdigit() or text in ("<s>", "</s>", "<unk>") for text in texts)
    frame = tokenizer("=7+", return_tensors="pt")["input_ids"]
    for token, row in zip(ids[:5], rep.random_rows, strict=False):
        given = frame.clone()
        given[0, 2] = token
        with torch.no_grad():
            state = opened(given, output_hidden_states=True).hidden_states[2][0, 2]
        np.testing.assert_allclose(row, state.numpy(), atol=2e-6)


def test_half_precision_is_told(llama: ModelSpec) -> None:
    with pytest.warns(MeasurementWarning, match="W-DTYPE"):
        half = read(llama, dtype="bfloat16")
    assert half.matrix.dtype == np.float32
    np.testing.assert_allclose(half.matrix, read(llama).matrix, atol=0.1)
    assert read(llama, dtype="float64").matrix.dtype == np.float64


def test_mixed_token_forms_are_told_in_the_table(llama: ModelSpec) -> None:
    study = numgeom.compare(
        [f"a={llama.id}"], sources="hidden", layers="1,2", numbers="0..59", metrics="cka_linear_debiased", draws=9
    )
    assert set(study.frame["warnings"].str.contains("W-TOKENFORM")) == {True}


# Faults


def test_faults_are_one_line(llama: ModelSpec, tmp_path: Path) -> None:
    text = message(lambda: read(llama, read="hidden:9"), SourceError)
    assert text == "hidden:9 is not in llama, which has hidden:0 to hidden:3 (hidden:0 is the embedding output)."
    assert "'hidden:x' is no layer" in message(lambda: read(llama, read="hidden:x"))
    assert "unknown dtype 'int8'" in message(lambda: read(llama, dtype="int8"))
    assert "unknown side of a block 'inside'" in message(lambda: read(llama, block="inside"))
    assert "batch must be 1 or more" in message(lambda: read(llama, batch=0))
    long = NumberSet.parse("0..9@" + "a=" * 20 + "{n}")
    assert "has 43 tokens and llama takes 32; shorten the template" in message(lambda: read(llama, long))
    nowhere = ModelSpec(name="m", source="checkpoint", id=str(tmp_path))
    assert "holds no config.json" in message(lambda: read(nowhere))
    rows = ModelSpec(name="r", source="rows", id="r.npz")
    assert "cannot be run" in message(lambda: read(rows))
    (tmp_path / "config.json").write_text('{"model_type": "no_such_thing"}')
    assert "does not know this config.json" in message(lambda: read(nowhere))


def test_missing_weights_are_never_random(shared: Path) -> None:
    model = ModelSpec(name="minilm", source="checkpoint", id=str(shared / "data/checkpoints/all-MiniLM-L6-v2"))
    assert "lacks 100 weights of its layers" in message(lambda: read(model))


def test_a_tokenizer_of_another_model_is_refused(tmp_path: Path) -> None:
    model = tiny_models.save("gpt2", tmp_path)
    document = json.loads((tmp_path / "tokenizer.json").read_text())
    document["model"]["vocab"]["39"] = 900
    (tmp_path / "tokenizer.json").write_text(json.dumps(document))
    text = message(lambda: read(model))
    assert "number 39 has token id 900, but gpt2 has only 160 rows" in text


def test_overflow_is_an_error_and_says_what_to_type(tmp_path: Path) -> None:
    model = tiny_models.save("llama", tmp_path)
    from safetensors.torch import load_file, save_file

    weights = load_file(tmp_path / "model.safetensors")
    weights["model.layers.0.mlp.down_proj.weight"] *= 1e9
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.warns(MeasurementWarning, match="W-DTYPE"):
        text = message(lambda: read(model, dtype="float16"))
    assert text == "hidden:2 of llama holds NaN or infinity when run in float16; type dtype=float32."


def test_code_of_a_checkpoint_needs_the_word_of_its_own_entry(llama: ModelSpec) -> None:
    text = message(lambda: read(llama, trust_remote_code=True))
    assert "[models.llama] params = { trust_remote_code = true }" in text


def test_devices() -> None:
    assert find_device("cpu") == "cpu"
    assert find_device("auto") in ("cpu", "cuda", "mps")
    for name in ("gpu", "cuda:x", "mps:0", "auto:1", ""):
        assert "write auto, cpu, cuda, cuda:1 or mps" in message(lambda name=name: find_device(name))
    absent = "cuda:99" if torch.cuda.is_available() else "cuda"
    assert f"device '{absent}' is not there; torch" in message(lambda: find_device(absent))


def test_a_hub_model_that_is_not_here_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    model = ModelSpec(name="m", source="hf", id="org/name")
    assert "org/name@main is not in the cache and the hub cannot be reached" in message(lambda: read(model))


def test_a_hub_model_is_fetched_whole_and_then_run_offline(
    llama: ModelSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    here = read(llama)
    model = ModelSpec(name="m", source="hf", id="org/llama")
    with serving() as server:
        turn_to(server, tmp_path, monkeypatch)
        whole = {path.name: path.read_bytes() for path in Path(llama.id).iterdir()}
        server.repositories["org/llama"] = Repository({commit("a"): {**whole, "extra.bin": b"", "code.py": b""}})
        assert read_hidden.readings(model) == [f"hidden:{k}" for k in range(4)]
        assert not any(name.endswith(".safetensors") for name in server.files_sent())
        np.testing.assert_array_equal(read(model).matrix, here.matrix)
        assert {"extra.bin", "code.py"}.isdisjoint(server.files_sent())
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    offline = read(model)
    np.testing.assert_array_equal(offline.matrix, here.matrix)
    assert offline.provenance["revision"] == commit("a")
