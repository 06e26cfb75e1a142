"""Embedding sources: known answers, bit-equality with transformers, real rows, and what users can get wrong."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from numgeom import (
    Incompatible,
    MeasurementWarning,
    ModelSpec,
    NumberSet,
    NumgeomError,
    Representation,
    SourceError,
    SourceSpec,
    TokenizerError,
)
from numgeom.errors import UnknownName
from numgeom_plugins.sources import numgeom_sources
from numgeom_plugins.sources.checkpoint import read_checkpoint
from numgeom_plugins.sources.checkpoint_folder import CheckpointFolder
from numgeom_plugins.sources.embedding_tensor import find_embedding, role
from numgeom_plugins.sources.rows import read_rows
from numgeom_plugins.sources.safetensors_rows import SafetensorsFile
from numgeom_plugins.sources.synthetic import read_synthetic
from numgeom_plugins.sources.vectors import read_vectors

VOCABULARY = 160
DIGITS = NumberSet.parse("0..99")
SPECS: dict[str, SourceSpec] = {spec.name: spec for spec in numgeom_sources()}


def model(source: str, where: object, **params: Any) -> ModelSpec:
    return ModelSpec(name="m", source=source, id=str(where), params=params)


def checkpoint(
    folder: Path, numbers: NumberSet | str = DIGITS, read: str = "input", tensor: str = ""
) -> Representation:
    chosen = NumberSet.parse(numbers) if isinstance(numbers, str) else numbers
    return read_checkpoint(model("checkpoint", folder), chosen, read=read, tensor=tensor)


def write_tokenizer(folder: Path, size: int = VOCABULARY, first: int = 40) -> dict[int, int]:
    """A word-level tokenizer.json in which the integers 0..99 are tokens; returns number -> id."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    numbers = {str(n): first + n for n in range(100)}
    words = {f"w{chr(97 + i // 26)}{chr(97 + i % 26)}": i for i in range(1, size) if not first <= i < first + 100}
    tokenizer = Tokenizer(models.WordLevel({"<unk>": 0, **words, **numbers}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(folder / "tokenizer.json"))
    return {n: first + n for n in range(100)}


def write_checkpoint(folder: Path, tensors: dict[str, Any], config: dict[str, Any] | None = None) -> Path:
    folder.mkdir(exist_ok=True)
    save_file(tensors, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps({"vocab_size": VOCABULARY, "hidden_size": 8, **(config or {})}))
    write_tokenizer(folder)
    return folder


def table(seed: int = 0, rows: int = VOCABULARY, width: int = 8) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((rows, width)).astype(np.float32)


def message(call: Callable[[], object], error: type[NumgeomError] = SourceError) -> str:
    """The message of an expected error; every one is a single line."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MeasurementWarning)
        with pytest.raises((error, Incompatible)) as caught:
            call()
    text = str(caught.value)
    assert "\n" not in text
    return text


def test_a_tied_output_is_refused_with_its_code(tmp_path: Path) -> None:
    tensors = {"model.embed_tokens.weight": table(0)}
    folder = write_checkpoint(tmp_path, tensors, {"tie_word_embeddings": True})
    with pytest.warns(MeasurementWarning, match="W-TIED"), pytest.raises(Incompatible, match="not a second source"):
        checkpoint(folder, read="output")


# ---------------------------------------------------------------- cards


def test_every_card_loads_and_lists_its_targets_parameters() -> None:
    import inspect

    for spec in SPECS.values():
        parameters = inspect.signature(spec.load()).parameters
        own = [name for name in parameters if name not in ("model", "numbers", "read")]
        assert own == list(spec.params), spec.name
        assert "read" in parameters


def test_announcing_sources_imports_nothing_heavy() -> None:
    code = (
        "import sys, numgeom_plugins.sources as s; list(s.numgeom_sources());"
        "heavy = {'torch', 'transformers', 'tokenizers', 'huggingface_hub', 'scipy', 'sklearn', 'safetensors'};"
        "sys.exit(' '.join(heavy & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


# ---------------------------------------------------------------- synthetic: known answers


def synthetic(recipe: str, numbers: str = "0..99", **params: Any) -> Representation:
    return read_synthetic(model("synthetic", recipe), NumberSet.parse(numbers), read="vectors", **params)


def test_line_is_one_dimension_with_unit_steps() -> None:
    rep = synthetic("line?d=16")
    assert np.linalg.matrix_rank(rep.matrix) == 1
    np.testing.assert_allclose(np.linalg.norm(np.diff(rep.matrix, axis=0), axis=1), 1.0, atol=1e-12)


def test_circle_has_its_period_and_unit_radius() -> None:
    rep = synthetic("circle", periods=20)
    np.testing.assert_allclose(rep.matrix[:80], rep.matrix[20:], atol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(rep.matrix, axis=1), 1.0, atol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(rep.matrix[10] - rep.matrix[0]), 2.0, atol=1e-12)


def test_helix_has_the_rank_of_its_waves() -> None:
    # The sine of period 2 is zero on the integers: nine columns, rank eight.
    assert np.linalg.matrix_rank(synthetic("helix").matrix, tol=1e-9) == 8
    distance = np.linalg.norm(synthetic("helix", "0,100").matrix[1] - synthetic("helix", "0,100").matrix[0])
    assert distance == pytest.approx(1.0)  # all periods divide 100: only the line has moved


def test_walk_steps_are_the_iid_rows() -> None:
    walk, iid = synthetic("walk?d=12&seed=3", "-40..2500"), synthetic("iid?d=12&seed=3", "-40..2500")
    np.testing.assert_allclose(np.diff(walk.matrix, axis=0), iid.matrix[1:], atol=1e-12)
    assert not walk.matrix[40].any()


def test_random_walk_has_the_explained_variance_of_theory() -> None:
    rows = synthetic("walk?d=2048&seed=5", "0..999").matrix
    share = np.linalg.svd(rows - rows.mean(axis=0), compute_uv=False) ** 2
    assert share[0] / share.sum() == pytest.approx(6 / np.pi**2, abs=0.02)  # Antognini & Sohl-Dickstein 2018


@pytest.mark.parametrize("recipe", ["line", "circle", "helix", "walk", "iid"])
def test_a_row_does_not_depend_on_the_other_numbers(recipe: str) -> None:
    whole = synthetic(recipe, "-30..2000", noise=0.1)
    some = synthetic(recipe, "-7,3,90..95,1500", noise=0.1)
    np.testing.assert_array_equal(whole.restrict(some.numbers).matrix, some.matrix)


def test_noise_and_random_rows_have_the_stated_size() -> None:
    noisy, plain = synthetic("line", "0..999", noise=0.5), synthetic("line", "0..999")
    assert np.std(noisy.matrix - plain.matrix) == pytest.approx(0.5, rel=0.02)
    assert plain.random_rows is not None
    assert plain.random_rows.shape == (1000, 64)
    np.testing.assert_allclose(np.linalg.norm(plain.random_rows, axis=1), 499.5)


def test_synthetic_recipes_are_reproducible_and_seeded() -> None:
    assert synthetic("iid").digest == synthetic("iid?seed=0").digest
    assert synthetic("iid?seed=1").digest == synthetic("iid", seed=1).digest != synthetic("iid").digest


def test_planted_codes_are_what_their_formulas_say() -> None:
    log_line = synthetic("log_line?d=1", "0..99").matrix[:, 0]
    np.testing.assert_allclose(log_line / log_line[1] * np.log(2.0), np.log1p(np.arange(100)))
    residues = synthetic("residues?periods=7", "0..69").matrix
    np.testing.assert_array_equal(residues[:7], residues[63:])
    copies = synthetic("copies", "0..99").matrix
    assert len(np.unique(copies, axis=0)) == 10
    # An additive code: 45 - 42 is 95 - 92.
    digits = synthetic("digits", "0..99").matrix
    np.testing.assert_allclose(digits[45] - digits[42], digits[95] - digits[92])
    assert not np.allclose(digits[7], digits[17] - digits[10])


def test_amplitudes_of_a_helix_are_its_radii() -> None:
    rows = synthetic("helix?periods=5,10&amplitudes=2,0.5&d=16", "0..99").matrix
    spectrum = (np.abs(np.fft.fft(rows, axis=0)) ** 2).sum(axis=1)
    assert spectrum[20] / spectrum[10] == pytest.approx((2 / 0.5) ** 2, rel=0.02)
    assert "2 amplitudes for 4 periods" in message(lambda: synthetic("helix?amplitudes=1,2"))


def test_synthetic_faults() -> None:
    assert "Allowed: circle, copies, digits, helix, iid, line, log_line, residues, walk" in message(
        lambda: synthetic("spiral"), UnknownName
    )
    assert "did you mean 'seed'" in message(lambda: synthetic("walk?sead=3"), UnknownName)
    assert "d is 'wide'; it must be a number" in message(lambda: synthetic("walk?d=wide"))
    assert "d is '2.5'; it must be a whole number, at least 1" in message(lambda: synthetic("walk?d=2.5"))
    assert "needs 9 axes but d is 4; give d=9 or more" in message(lambda: synthetic("helix?d=4"))
    assert "each must be more than 0" in message(lambda: synthetic("helix?periods=2,0"))
    assert "noise is -1" in message(lambda: synthetic("line", noise=-1))
    assert "at most 1,000,000 steps" in message(lambda: synthetic("walk", "0,2000000"))


# ---------------------------------------------------------------- rows of a safetensors file


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int64])
def test_rows_are_those_of_the_library(tmp_path: Path, dtype: type) -> None:
    matrix: np.ndarray[Any, Any] = (np.random.default_rng(1).standard_normal((300, 7)) * 100).astype(dtype)
    save_file({"a": matrix, "b": matrix[::-1].copy()}, tmp_path / "x.safetensors")
    file = SafetensorsFile(tmp_path / "x.safetensors")
    wanted = [299, 0, 1, 2, 2, 150, 149]
    np.testing.assert_array_equal(file.read_rows("a", wanted), matrix[wanted])
    np.testing.assert_array_equal(file.read("b"), matrix[::-1])
    assert file.read_rows("a", []).shape == (0, 7)


def test_bfloat16_is_widened_exactly(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import save_file as save_torch

    # Every bfloat16 that is finite, infinity, and the subnormals among them.
    bits = torch.arange(2**16, dtype=torch.int32).to(torch.int16).view(torch.bfloat16)
    save_torch({"x": bits.reshape(256, 256)}, tmp_path / "x.safetensors")
    rows = SafetensorsFile(tmp_path / "x.safetensors").read_rows("x", np.arange(256))
    np.testing.assert_array_equal(rows.view(np.uint32), bits.float().reshape(256, 256).numpy().view(np.uint32))


def lying(path: Path, change: Callable[[dict[str, Any]], object], tail: bytes = b"") -> Path:
    """A safetensors file whose header was changed after writing."""
    data = np.arange(12, dtype=np.float32).reshape(4, 3).tobytes()
    header: dict[str, Any] = {"x": {"dtype": "F32", "shape": [4, 3], "data_offsets": [0, 48]}}
    change(header)
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data + tail)
    return path


def test_a_false_header_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"

    def fault(**entry: Any) -> str:
        return message(lambda: SafetensorsFile(lying(path, lambda header: header["x"].update(entry))))

    assert "needs 480,000,000,000 bytes, but its offsets span 48" in fault(shape=[40_000_000_000, 3])
    assert "claims bytes 0 to 4,800 of data, but the file holds 48" in fault(data_offsets=[0, 4800])
    assert "claims bytes 48 to 0" in fault(data_offsets=[48, 0])
    assert "not counts" in fault(shape=[-4, -3])
    assert "not counts" in fault(data_offsets=[0, True])
    assert "no dtype, shape and data_offsets" in fault(data_offsets=7)
    assert "download or save it again" in fault(shape=[4])


def test_a_cut_or_foreign_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    whole = lying(path, lambda header: None).read_bytes()
    for content, said in [
        (whole[:-1], "the file holds 47"),
        (whole[:20], "its header alone claims"),
        (b"abc", "it has 3 bytes"),
        ((2**63).to_bytes(8, "little") + whole[8:], "its header alone claims 9,223,372,036,854,775,808"),
        ((4).to_bytes(8, "little") + b"{{{{" + bytes(48), "its header is not JSON"),
        ((2).to_bytes(8, "little") + b"[]" + bytes(48), "its header is not a JSON object"),
    ]:
        path.write_bytes(content)
        assert said in message(lambda: SafetensorsFile(path))
    deep = b"[" * 100_000
    path.write_bytes(len(deep).to_bytes(8, "little") + deep)
    assert "not JSON" in message(lambda: SafetensorsFile(path))
    assert "No such file" in message(lambda: SafetensorsFile(tmp_path / "none.safetensors"))
    assert "directory" in message(lambda: SafetensorsFile(tmp_path))


def test_a_header_beyond_the_bound_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    with open(path, "wb") as file:
        file.write((200_000_000).to_bytes(8, "little"))
        file.truncate(300_000_000)
    assert "at most 100,000,000 are allowed" in message(lambda: SafetensorsFile(path))


def test_row_and_tensor_errors_name_what_there_is(tmp_path: Path) -> None:
    save_file({"x": table(), "flat": np.zeros(3)}, tmp_path / "x.safetensors")
    file = SafetensorsFile(tmp_path / "x.safetensors")
    assert "has no tensor 'y'; it holds: flat, x" in message(lambda: file.read_rows("y", [0]))
    assert "row 160 is not in tensor 'x'" in message(lambda: file.read_rows("x", [3, 160]))
    assert "row -1 is not in tensor 'x'" in message(lambda: file.read_rows("x", [-1]))
    assert "rows need a matrix" in message(lambda: file.read_rows("flat", [0]))
    path = lying(tmp_path / "f8.safetensors", lambda header: header["x"].update(dtype="F8_E4M3"))
    assert "type F8_E4M3" in message(lambda: SafetensorsFile(path).read_rows("x", [0]))


BIG = """
import resource
import numpy as np
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
import json, sys
from pathlib import Path
from numgeom import NumberSet
from numgeom_plugins.sources.checkpoint import embed
from numgeom_plugins.sources.checkpoint_folder import CheckpointFolder
import numgeom_plugins.sources.tokenizers

class Scattered:
    name, kind, vocab_size, special_ids, notes = "scattered", "stand-in", 100278, frozenset(), ()
    def encode(self, text): return self.encode_number(int(text))
    def encode_number(self, number, template="{n}"): return (97 * number + 11,)
    def token_text(self, token_id):
        number, rest = divmod(token_id - 11, 97)
        return str(number) if rest == 0 and 0 <= number < 1000 else f"w{token_id}"

def counted():
    return int(Path("/proc/self/io").read_text().split("rchar:")[1].split()[0])

def reading(read):
    before = counted()
    rep = embed(CheckpointFolder(Path(sys.argv[1])), Scattered(), NumberSet.parse("0..999"), read=read)
    return rep, (counted() - before) / 1e6

rep, input_mb = reading("input")
input_peak = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak) / 1024
out, output_mb = reading("output")
print(json.dumps({
    "input_peak_mb": input_peak, "input_mb": input_mb, "output_mb": output_mb,
    "peak_mb": (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak) / 1024,
    "n": rep.n, "d": rep.d, "random": len(rep.random_rows), "tensor": rep.provenance["tensor"],
    "first": rep.matrix[:, 0].tolist(), "out": out.matrix[7, 0].item(), "torch": "torch" in sys.modules,
}))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="counts bytes in /proc/self/io")
def test_rows_of_a_7b_checkpoint_cost_their_own_bytes(tmp_path: Path) -> None:
    # The shape of OLMo-2-7B, 14 GB in six shards; sparse files, so that only the rows written here take disk.
    rows, width, layers, hidden = 100278, 4096, 32, 11008
    shards: list[dict[str, tuple[int, ...]]] = [{} for _ in range(6)]
    shards[0]["model.embed_tokens.weight"] = (rows, width)
    shards[5]["lm_head.weight"] = (rows, width)
    for layer in range(layers):
        shard = shards[layer * 6 // layers]
        for part, shape in {"gate": (hidden, width), "up": (hidden, width), "down": (width, hidden)}.items():
            shard[f"model.layers.{layer}.mlp.{part}_proj.weight"] = shape
        for part in "qkvo":
            shard[f"model.layers.{layer}.self_attn.{part}_proj.weight"] = (width, width)
    index: dict[str, str] = {}
    for i, shard in enumerate(shards):
        name = f"model-{i + 1:05}-of-00006.safetensors"
        header: dict[str, Any] = {}
        start = 0
        for tensor, size in shard.items():
            stop = start + 2 * size[0] * size[1]
            header[tensor] = {"dtype": "BF16", "shape": size, "data_offsets": [start, stop]}
            start, index[tensor] = stop, name
        text = json.dumps(header).encode()
        with open(tmp_path / name, "wb") as file:
            file.write(len(text).to_bytes(8, "little") + text)
            file.truncate(8 + len(text) + start)
            if "model.embed_tokens.weight" in shard:
                for number in range(1000):
                    file.seek(8 + len(text) + (97 * number + 11) * width * 2)
                    file.write((0x3F80 + number % 128).to_bytes(2, "little"))  # 1 + (n mod 128)/128
            if "lm_head.weight" in shard:
                file.seek(8 + len(text) + header["lm_head.weight"]["data_offsets"][0] + (97 * 7 + 11) * width * 2)
                file.write((0x4000).to_bytes(2, "little"))  # 2
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": index}))
    config = {"model_type": "olmo2", "architectures": ["Olmo2ForCausalLM"], "tie_word_embeddings": False}
    (tmp_path / "config.json").write_text(json.dumps({**config, "vocab_size": rows, "hidden_size": width}))
    done = subprocess.run([sys.executable, "-c", BIG, str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert (seen["n"], seen["d"], seen["random"], seen["tensor"]) == (1000, 4096, 1000, "model.embed_tokens.weight")
    assert seen["first"] == [1 + (n % 128) / 128 for n in range(1000)]
    assert seen["out"] == 2.0
    assert not seen["torch"]
    # One reading: 1,000 numbers and 1,000 random tokens of 8 KiB are 16.4 MB of 14 GB. Headers, and the few
    # modules that Python imports meanwhile, are in the count. Memory is counted from an interpreter with numpy.
    assert seen["input_mb"] < 20
    assert seen["input_peak_mb"] < 300
    # The output reads the same rows of the input too, to see whether the two are tied.
    assert seen["output_mb"] < 2 * 20
    assert seen["peak_mb"] < 300


# ---------------------------------------------------------------- bit-equality with transformers


def tiny(name: str) -> Any:
    """A randomly initialised model of a real architecture, small enough for a test."""
    import torch
    import transformers as t

    torch.manual_seed(3)
    v: dict[str, Any] = {"vocab_size": VOCABULARY}
    llama: dict[str, Any] = {
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        **v,
    }
    bert: dict[str, Any] = {**llama, "max_position_embeddings": 256}
    t5: dict[str, Any] = {
        "d_model": 16,
        "d_kv": 8,
        "d_ff": 32,
        "num_layers": 1,
        "num_heads": 2,
        "decoder_start_token_id": 0,
        **v,
    }
    tower: dict[str, Any] = {
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
    }
    untied: dict[str, Any] = {"tie_word_embeddings": False}
    build: dict[str, Callable[[], Any]] = {
        # 256 positions and a feed-forward layer of 256 rows: more rows than tokens.
        "gpt2": lambda: t.GPT2LMHeadModel(t.GPT2Config(n_positions=256, n_embd=16, n_layer=1, n_head=2, **v)),
        "gpt2_base": lambda: t.GPT2Model(t.GPT2Config(n_positions=64, n_embd=16, n_layer=1, n_head=2, **v)),
        "llama": lambda: t.LlamaForCausalLM(t.LlamaConfig(**llama, **untied)),
        "llama_wide": lambda: t.LlamaForCausalLM(t.LlamaConfig(**{**llama, "intermediate_size": 200}, **untied)),
        "llama_tied": lambda: t.LlamaForCausalLM(t.LlamaConfig(**llama, tie_word_embeddings=True)),
        "olmo2": lambda: t.Olmo2ForCausalLM(t.Olmo2Config(**llama, **untied)),
        "neox": lambda: t.GPTNeoXForCausalLM(t.GPTNeoXConfig(**llama)),
        "gptj": lambda: t.GPTJForCausalLM(
            t.GPTJConfig(n_positions=64, n_embd=16, n_layer=1, n_head=2, rotary_dim=4, **v)
        ),
        "bert": lambda: t.BertModel(t.BertConfig(**bert)),
        "bert_mlm": lambda: t.BertForMaskedLM(t.BertConfig(**bert)),
        "albert": lambda: t.AlbertForMaskedLM(t.AlbertConfig(embedding_size=6, **bert)),
        "electra": lambda: t.ElectraForMaskedLM(t.ElectraConfig(embedding_size=6, **bert)),
        "roberta": lambda: t.RobertaForMaskedLM(t.RobertaConfig(**bert)),
        "t5": lambda: t.T5ForConditionalGeneration(t.T5Config(**t5)),
        "bart": lambda: t.BartForConditionalGeneration(
            t.BartConfig(
                d_model=16,
                encoder_layers=1,
                decoder_layers=1,
                encoder_attention_heads=2,
                decoder_attention_heads=2,
                encoder_ffn_dim=32,
                decoder_ffn_dim=32,
                max_position_embeddings=64,
                **v,
            )
        ),
        "opt": lambda: t.OPTForCausalLM(
            t.OPTConfig(
                hidden_size=16,
                ffn_dim=32,
                num_hidden_layers=1,
                num_attention_heads=2,
                word_embed_proj_dim=12,
                max_position_embeddings=256,
                **v,
            )
        ),
        "bloom": lambda: t.BloomForCausalLM(t.BloomConfig(hidden_size=16, n_layer=1, n_head=2, **v)),
        "falcon": lambda: t.FalconForCausalLM(
            t.FalconConfig(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, **v)
        ),
        "gemma": lambda: t.GemmaForCausalLM(t.GemmaConfig(num_key_value_heads=1, head_dim=8, **llama)),
        "gemma3": lambda: t.Gemma3ForCausalLM(t.Gemma3TextConfig(num_key_value_heads=1, head_dim=8, **llama)),
        "qwen2": lambda: t.Qwen2ForCausalLM(t.Qwen2Config(num_key_value_heads=1, **llama)),
        "phi": lambda: t.PhiForCausalLM(t.PhiConfig(**llama)),
        "mamba": lambda: t.MambaForCausalLM(t.MambaConfig(hidden_size=16, state_size=4, num_hidden_layers=1, **v)),
        "xlnet": lambda: t.XLNetLMHeadModel(t.XLNetConfig(d_model=16, n_layer=1, n_head=2, d_inner=32, **v)),
        "ctrl": lambda: t.CTRLLMHeadModel(t.CTRLConfig(n_embd=16, dff=32, n_layer=1, n_head=2, n_positions=64, **v)),
        "clip": lambda: t.CLIPModel(
            t.CLIPConfig(
                text_config={**tower, **v, "max_position_embeddings": 32, "projection_dim": 8},
                vision_config={**tower, "image_size": 16, "patch_size": 8, "projection_dim": 8},
                projection_dim=8,
            )
        ),
    }
    return build[name]()


ARCHITECTURES = [
    "gpt2",
    "gpt2_base",
    "llama",
    "llama_wide",
    "llama_tied",
    "olmo2",
    "neox",
    "gptj",
    "bert",
    "bert_mlm",
    "albert",
    "electra",
    "roberta",
    "t5",
    "bart",
    "opt",
    "bloom",
    "falcon",
    "gemma",
    "gemma3",
    "qwen2",
    "phi",
    "mamba",
    "xlnet",
    "ctrl",
    "clip",
]


def saved(name: str, folder: Path, dtype: str = "float32", **options: Any) -> Any:
    import torch
    from transformers.utils import logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        net = tiny(name).to(getattr(torch, dtype))
        net.save_pretrained(folder, **options)
    write_tokenizer(folder)
    return net


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_rows_are_those_of_transformers(tmp_path: Path, name: str) -> None:
    net = saved(name, tmp_path)
    layer = net.text_model.embeddings.token_embedding if name == "clip" else net.get_input_embeddings()
    weight = layer.weight.detach()
    rep = checkpoint(tmp_path)
    ids = [40 + n for n in range(100)]
    np.testing.assert_array_equal(rep.matrix, weight[ids].numpy())
    assert rep.token_ids is not None
    assert rep.token_ids.tolist() == ids
    head = net.get_output_embeddings() if name != "clip" else None
    if head is None or head.weight.data_ptr() == weight.data_ptr():
        said = message(lambda: checkpoint(tmp_path, read="output"))
        assert "tied" in said
        assert "not a second source (W-TIED)" in said
    else:
        np.testing.assert_array_equal(checkpoint(tmp_path, read="output").matrix, head.weight.detach()[ids].numpy())


def test_a_t5_with_a_head_of_its_own(tmp_path: Path) -> None:
    # As in T5 v1.1: "not tied" stands in the config only, and the file holds both tables.
    import torch

    net = saved("t5", tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    head = torch.randn(VOCABULARY, 16).numpy()
    save_file({**tensors, "lm_head.weight": head}, tmp_path / "model.safetensors")
    assert "is tied to the input by its config" in message(lambda: checkpoint(tmp_path, read="output"))
    np.testing.assert_array_equal(checkpoint(tmp_path, read="output", tensor="lm_head.weight").matrix, head[40:140])
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "tie_word_embeddings": False}))
    np.testing.assert_array_equal(checkpoint(tmp_path, read="output").matrix, head[40:140])
    np.testing.assert_array_equal(checkpoint(tmp_path).matrix, net.shared.weight.detach()[40:140].numpy())


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float64"])
def test_stored_precisions_keep_their_values(tmp_path: Path, dtype: str) -> None:
    net = saved("llama", tmp_path, dtype)
    rep = checkpoint(tmp_path)
    weight = net.get_input_embeddings().weight.detach()
    np.testing.assert_array_equal(rep.matrix, weight[40:140].double().numpy())
    assert rep.matrix.dtype == (np.float64 if dtype == "float64" else np.float32)
    assert rep.provenance["dtype"] == {"bfloat16": "BF16", "float16": "F16", "float64": "F64"}[dtype]


@pytest.mark.parametrize("name", ["llama", "neox", "gpt2"])
def test_shards_give_the_same_rows(tmp_path: Path, name: str) -> None:
    net = saved(name, tmp_path, max_shard_size="8KB")
    assert (tmp_path / "model.safetensors.index.json").is_file()
    np.testing.assert_array_equal(
        checkpoint(tmp_path).matrix, net.get_input_embeddings().weight.detach()[40:140].numpy()
    )
    if name != "gpt2":
        head = net.get_output_embeddings().weight.detach()
        np.testing.assert_array_equal(checkpoint(tmp_path, read="output").matrix, head[40:140].numpy())


def test_the_control_is_of_the_same_tensor_and_holds_no_number(tmp_path: Path) -> None:
    net = saved("llama", tmp_path)
    rep = checkpoint(tmp_path, "0..9")
    weight = net.get_input_embeddings().weight.detach().numpy()
    rows = {row.tobytes(): i for i, row in enumerate(weight)}
    assert rep.random_rows is not None
    drawn = [rows[row.tobytes()] for row in rep.random_rows]
    assert len(set(drawn)) == len(drawn) == VOCABULARY - 100 - 1  # all but the integers 0..99 and <unk>
    assert not set(drawn) & set(range(40, 140))


def test_provenance_says_where_the_rows_are_from(tmp_path: Path) -> None:
    saved("gemma", tmp_path)
    told = checkpoint(tmp_path).provenance
    assert told["tensor"] == "model.embed_tokens.weight"
    assert told["files"] == ["model.safetensors"]
    assert (told["dtype"], told["form"], told["rows_in_tensor"]) == ("F32", "bare", VOCABULARY)
    assert any("multiplies them by sqrt(d)" in note for note in told["notes"])
    json.dumps(told)


def test_one_tokenizer_has_one_digest_in_all_models(tmp_path: Path) -> None:
    for name, first in [("a", 40), ("b", 40), ("c", 41)]:
        folder = write_checkpoint(tmp_path / name, {"wte.weight": table(len(name))})
        write_tokenizer(folder, first=first)
    a, b, c = (checkpoint(tmp_path / name).provenance["tokenizer_digest"] for name in "abc")
    assert a == b != c


def test_an_output_bias_is_mentioned(tmp_path: Path) -> None:
    saved("gptj", tmp_path)
    assert "the output bias lm_head.bias is left out" in checkpoint(tmp_path, read="output").provenance["notes"]


# ---------------------------------------------------------------- which tensor it is


def test_a_plain_choice_needs_no_transformers(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, {"model.embed_tokens.weight": table(0), "lm_head.weight": table(1)})
    code = (
        "import sys; from pathlib import Path; from numgeom_plugins.sources.checkpoint_folder import CheckpointFolder;"
        "from numgeom_plugins.sources.embedding_tensor import find_embedding;"
        "print(find_embedding(CheckpointFolder(Path(sys.argv[1])), 'input').tensor);"
        "sys.exit('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "model.embed_tokens.weight"), done.stderr


LLAMA = {
    "model_type": "llama",
    "architectures": ["LlamaForCausalLM"],
    "tie_word_embeddings": False,
    "num_attention_heads": 2,
    "num_hidden_layers": 1,
}


def test_a_head_of_a_model_inside_the_model_is_not_its_own(tmp_path: Path) -> None:
    # As in BLT, whose patcher is a language model with a head, saved without the outer head.
    tensors = {f"{part}.embed_tokens.weight": table(i) for i, part in enumerate(["model", "patcher"])}
    folder = write_checkpoint(tmp_path, {**tensors, "patcher.lm_head.weight": table(2)}, LLAMA)
    assert checkpoint(folder).provenance["tensor"] == "model.embed_tokens.weight"
    assert "has no output embedding of its own" in message(lambda: checkpoint(folder, read="output"))
    # Nor is it where transformers cannot be asked, and names are all there is.
    folder = write_checkpoint(tmp_path, {**tensors, "patcher.lm_head.weight": table(2)}, {"model_type": "nosuch"})
    assert "several tensors can be the output embedding" in message(lambda: checkpoint(folder, read="output"))


def test_a_wrapped_checkpoint_keeps_its_head(tmp_path: Path) -> None:
    # The extra table makes shapes ambiguous, so the architecture's names are matched up to the wrapper's prefix.
    tensors = {"net.model.embed_tokens.weight": table(0), "net.lm_head.weight": table(1), "net.extra.weight": table(2)}
    folder = write_checkpoint(tmp_path, tensors, LLAMA)
    np.testing.assert_array_equal(checkpoint(folder).matrix, table(0)[40:140])
    rep = checkpoint(folder, read="output")
    np.testing.assert_array_equal(rep.matrix, table(1)[40:140])
    assert "tensor matched to lm_head.weight of the architecture" in rep.provenance["notes"]


def test_an_unknown_architecture_goes_by_names_and_says_so(tmp_path: Path) -> None:
    tensors = {"net.embed_tokens.weight": table(0), "net.mix.weight": table(1)}
    rep = checkpoint(write_checkpoint(tmp_path, tensors, {"model_type": "nosuch"}))
    np.testing.assert_array_equal(rep.matrix, tensors["net.embed_tokens.weight"][40:140])
    assert "chosen by its name" in rep.provenance["notes"][0]


def test_one_fitting_table_of_an_unknown_name_is_taken_with_a_note(tmp_path: Path) -> None:
    rep = checkpoint(write_checkpoint(tmp_path, {"net.lexicon": table(0), "net.mlp": table(1, 20)}))
    assert rep.provenance["tensor"] == "net.lexicon"
    assert "only one with a row for each token" in rep.provenance["notes"][0]


def test_what_stays_ambiguous_is_for_the_user_to_say(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path, {"a.weight": table(0), "b.weight": table(1)}, {"model_type": "nosuch"})
    said = message(lambda: checkpoint(folder))
    assert "several tensors can be the input embedding (a.weight, b.weight)" in said
    assert 'params = { tensor = "a.weight" }' in said
    np.testing.assert_array_equal(checkpoint(folder, tensor="b.weight").matrix, table(1)[40:140])
    assert "has no tensor 'c' (params.tensor); it holds: a.weight, b.weight" in message(
        lambda: checkpoint(folder, tensor="c")
    )


def test_a_named_tensor_must_be_a_table(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path, {"wte.weight": table(0), "bias": np.zeros(8, np.float32)})
    assert "an embedding is a matrix of F16, BF16, F32 or F64" in message(lambda: checkpoint(folder, tensor="bias"))


def test_a_tied_table_stored_under_the_heads_name_is_the_input(tmp_path: Path) -> None:
    net = saved("llama_tied", tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    tensors["lm_head.weight"] = tensors.pop("model.embed_tokens.weight")
    save_file(tensors, tmp_path / "model.safetensors")
    weight = net.get_input_embeddings().weight.detach()[40:140].numpy()
    np.testing.assert_array_equal(checkpoint(tmp_path).matrix, weight)


def test_a_copied_head_is_tied_whatever_the_config_says(tmp_path: Path) -> None:
    tensors = {"model.embed_tokens.weight": table(0), "lm_head.weight": table(0)}
    folder = write_checkpoint(tmp_path, tensors, {"tie_word_embeddings": False})
    assert "are those of 'model.embed_tokens.weight' bit for bit" in message(lambda: checkpoint(folder, read="output"))
    folder = write_checkpoint(tmp_path, {**tensors, "lm_head.weight": table(1)}, {"tie_word_embeddings": True})
    assert "is tied to the input by its config" in message(lambda: checkpoint(folder, read="output"))


def test_a_checkpoint_without_config_goes_by_its_tokenizer(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path, {"wte.weight": table(0), "wpe.weight": table(1, 64)})
    (folder / "config.json").unlink()
    np.testing.assert_array_equal(checkpoint(folder).matrix, table(0)[40:140])


def test_padded_vocabularies_are_allowed(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path, {"wte.weight": table(0, 192)})
    assert checkpoint(folder).provenance["rows_in_tensor"] == 192


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("transformer.word_embeddings.weight", "input"),
        ("language_model.model.embed_tokens.weight", "input"),
        ("cls.predictions.decoder.weight", "output"),
        ("embed_out.weight", "output"),
        ("model.decoder.embed_positions.weight", ""),
        ("h.0.mlp.c_fc.weight", ""),
        ("weight", ""),
    ],
)
def test_roles_of_names(name: str, expected: str) -> None:
    assert role(name) == expected


# ---------------------------------------------------------------- checkpoints: faults


def test_faults_of_a_folder(tmp_path: Path) -> None:
    assert "does not exist" in message(lambda: checkpoint(tmp_path / "none"))
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "holds no weights" in message(lambda: checkpoint(empty))
    (empty / "pytorch_model.bin").write_bytes(b"\x80\x04")
    said = message(lambda: checkpoint(empty))
    assert "pytorch_model.bin' is not read: it is not a whole zip" in said
    assert "save_pretrained(NEW) writes model.safetensors" in said
    for name in ("one", "two"):
        save_file({"x": table()}, empty / f"{name}.safetensors")
    assert "holds 2 safetensors files but no model.safetensors.index.json" in message(lambda: checkpoint(empty))
    file = empty / "one.safetensors"
    assert "is a file; give the folder" in message(lambda: checkpoint(file))


def test_faults_of_an_index(tmp_path: Path) -> None:
    saved("llama", tmp_path, max_shard_size="8KB")
    path = tmp_path / "model.safetensors.index.json"
    index = json.loads(path.read_text())
    shard = index["weight_map"]["model.embed_tokens.weight"]
    index["weight_map"]["model.ghost.weight"] = shard
    path.write_text(json.dumps(index))
    assert f"says that {shard} holds 'model.ghost.weight', but it does not" in message(lambda: checkpoint(tmp_path))
    index["weight_map"]["model.ghost.weight"] = "../outside.safetensors"
    path.write_text(json.dumps(index))
    assert "only file names without folders" in message(lambda: checkpoint(tmp_path))
    del index["weight_map"]["model.ghost.weight"]
    path.write_text(json.dumps(index))
    (tmp_path / shard).unlink()
    said = message(lambda: checkpoint(tmp_path))
    assert f"lacks {shard}, which holds tensor 'model.embed_tokens.weight'" in said
    path.write_text("{}")
    assert "has no weight_map" in message(lambda: checkpoint(tmp_path))
    path.write_text("not json")
    assert "is not JSON" in message(lambda: checkpoint(tmp_path))


def test_a_shard_that_is_not_needed_may_be_missing(tmp_path: Path) -> None:
    net = saved("llama", tmp_path, max_shard_size="8KB")
    index = json.loads((tmp_path / "model.safetensors.index.json").read_text())["weight_map"]
    for shard in set(index.values()) - {index["model.embed_tokens.weight"]}:
        (tmp_path / shard).unlink()
    np.testing.assert_array_equal(
        checkpoint(tmp_path).matrix, net.get_input_embeddings().weight.detach()[40:140].numpy()
    )


def test_an_adapter_has_no_embedding(tmp_path: Path) -> None:
    tensors = {"base_model.model.layers.0.q_proj.lora_A.weight": table(0, 4), "x.lora_B.weight": table(1, 8, 4)}
    said = message(lambda: checkpoint(write_checkpoint(tmp_path, tensors)))
    assert "has no embedding: no tensor has a row for each of 160 tokens" in said
    assert "largest: x.lora_B.weight 8x4" in said
    assert "Give the base model" in said


def test_a_head_alone_is_no_input_embedding(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path, {"lm_head.weight": table()}, {"tie_word_embeddings": False})
    assert "has no embedding" in message(lambda: checkpoint(folder))
    assert "was not checked" in checkpoint(folder, read="output").provenance["notes"][0]


def test_a_folder_without_tokenizer_says_so(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path, {"wte.weight": table()})
    (folder / "tokenizer.json").unlink()
    assert "tokenizer" in message(lambda: checkpoint(folder), TokenizerError)


def test_ids_beyond_the_table_mean_a_foreign_tokenizer(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path, {"wte.weight": table(0, 120)}, {"vocab_size": 120})
    said = message(lambda: checkpoint(folder))
    assert "number 99 has token id 139, but 'wte.weight'" in said
    assert "has only 120 rows" in said
    # Numbers that have a row can be read; the control leaves the rowless ids out.
    assert checkpoint(folder, "0..50").n == 51


def test_numbers_of_several_tokens_are_explained(tmp_path: Path) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers

    folder = write_checkpoint(tmp_path, {"wte.weight": table(0, 40)}, {"vocab_size": 12})
    # Single digits with a space before them only, as in tokenizers trained on running text.
    vocabulary = {"<unk>": 0, "\u0120": 1, **{f"\u0120{n}": 2 + n for n in range(10)}}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    said = message(lambda: checkpoint(folder, "0..9"))
    assert "no number of 0..9 is one token" in said
    assert "--numbers '0..9@space'" in said
    assert checkpoint(folder, "0..9@space").n == 10


def test_rows_with_nan_are_named(tmp_path: Path) -> None:
    rows = table()
    rows[[45, 60]] = np.nan
    rows[3] = np.inf
    folder = write_checkpoint(tmp_path, {"wte.weight": rows})
    assert "2 of 100 rows hold NaN or infinity (numbers 5, 20)" in message(lambda: checkpoint(folder))
    rep = checkpoint(folder, "0..4")
    assert "1 random rows with NaN or infinity left out" in rep.provenance["notes"]
    assert rep.random_rows is not None
    assert np.isfinite(rep.random_rows).all()


def test_quantised_embeddings_are_refused(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path, {"wte.weight": np.zeros((VOCABULARY, 8), np.int8)})
    assert "has no embedding" in message(lambda: checkpoint(folder))


def test_links_of_the_hubs_cache_are_followed(tmp_path: Path) -> None:
    repository = tmp_path / "models--org--name"
    linked = repository / "snapshots" / "0123abcd"
    linked.mkdir(parents=True)
    folder = write_checkpoint(repository / "blobs", {"wte.weight": table()})
    for file in folder.iterdir():
        (linked / file.name).symlink_to(file)
    assert checkpoint(linked).digest == checkpoint(folder).digest


# ---------------------------------------------------------------- real checkpoints


@pytest.mark.parametrize(
    ("folder", "rows", "tensor"),
    [
        ("all-MiniLM-L6-v2", "all_minilm_l6_v2", "embeddings.word_embeddings.weight"),
        ("stories260K", "stories260k", "model.embed_tokens.weight"),
    ],
)
def test_real_checkpoints_give_the_published_rows(shared: Path, folder: str, rows: str, tensor: str) -> None:
    expected = load_file(shared / "data" / "embeddings" / f"{rows}.safetensors")
    rep = checkpoint(shared / "data" / "checkpoints" / folder, "0..9999")
    assert rep.provenance["tensor"] == tensor
    np.testing.assert_array_equal(rep.numbers, expected["number_values"])
    np.testing.assert_array_equal(rep.token_ids, expected["number_token_ids"])
    np.testing.assert_array_equal(rep.matrix, expected["numbers"])
    said = message(lambda: checkpoint(shared / "data" / "checkpoints" / folder, read="output"))
    assert "tied to the input" in said


# ---------------------------------------------------------------- files of rows


def rows(path: Path, numbers: str = "0..9999") -> Representation:
    return read_rows(model("rows", path), NumberSet.parse(numbers), read="vectors")


@pytest.mark.parametrize(
    ("name", "shape", "random"),
    [
        ("all_minilm_l6_v2", (848, 384), 1000),
        ("all_minilm_l6_v2_positions", (512, 384), 1000),
        ("glove_6b_50d_top2444", (76, 50), 1000),
        ("glove_cc_spacy_md_cosine_0_2100", (2101, 300), 0),
        ("imdb_sentiment_16d_run_a", (136, 16), 1000),
        ("imdb_sentiment_16d_run_b", (132, 16), 1000),
        ("nlpl_bnc_skipgram_300d", (100, 300), 1000),
        ("rwkv_tiny_4v0_660k_bytes", (10, 128), 246),
        ("rwkv_tiny_5v1_730k_bytes", (10, 64), 246),
        ("rwkv_tiny_6v0_3m_bytes", (10, 128), 246),
        ("stories260k", (10, 64), 502),
    ],
)
def test_all_published_rows_load(shared: Path, name: str, shape: tuple[int, int], random: int) -> None:
    path = shared / "data" / "embeddings" / f"{name}.safetensors"
    rep = rows(path)
    assert rep.matrix.shape == shape
    assert (0 if rep.random_rows is None else len(rep.random_rows)) == random
    np.testing.assert_array_equal(rep.matrix, load_file(path)["numbers"])


def test_rows_are_sorted_restricted_and_typed(tmp_path: Path) -> None:
    matrix = np.arange(12, dtype=np.float64).reshape(4, 3)
    values = np.array([30, -1, 7, 2])
    for path in (tmp_path / "r.npz", tmp_path / "r.safetensors"):
        held: dict[str, Any] = {"numbers": matrix, "number_values": values, "number_token_ids": values + 100}
        np.savez(path, **held) if path.suffix == ".npz" else save_file(held, path)
        rep = rows(path, "-5..10")
        assert rep.numbers.tolist() == [-1, 2, 7]
        assert rep.token_ids is not None
        assert rep.token_ids.tolist() == [99, 102, 107]
        np.testing.assert_array_equal(rep.matrix, matrix[[1, 3, 2]])


def test_the_space_form_has_rows_of_its_own(tmp_path: Path) -> None:
    bare: dict[str, Any] = {"numbers": np.eye(3), "number_values": [0, 1, 2]}
    np.savez(tmp_path / "both.npz", **bare, space_numbers=2 * np.eye(3), space_number_values=[1, 2, 5])
    rep = rows(tmp_path / "both.npz", "0..9@space")
    assert rep.numbers.tolist() == [1, 2, 5]
    assert rep.provenance["form"] == "space"
    np.savez(tmp_path / "bare.npz", **bare)
    with pytest.warns(MeasurementWarning, match="W-TOKENFORM: bare.npz: no rows of the form 'space'"):
        stand_in = rows(tmp_path / "bare.npz", "0..9@space")
    assert stand_in.provenance["form"] == "bare"


def test_more_than_a_thousand_random_rows_are_drawn_once_for_all(tmp_path: Path) -> None:
    held: dict[str, Any] = {"numbers": np.eye(3), "number_values": [0, 1, 2], "random": table(0, 1500, 3)}
    np.savez(tmp_path / "r.npz", **held)
    first, second = rows(tmp_path / "r.npz").random_rows, rows(tmp_path / "r.npz").random_rows
    assert first is not None
    assert len(np.unique(first, axis=0)) == 1000
    np.testing.assert_array_equal(first, second)


def test_faults_of_rows_files(tmp_path: Path) -> None:
    path = tmp_path / "r.npz"

    eye = np.eye(3)
    np.savez(path, numbers=eye)
    assert "lacks number_values; it holds: numbers. A rows file needs" in message(lambda: rows(path))
    np.savez(path, numbers=eye, number_values=[0, 1, 1])
    assert "holds 1 more than once (1 numbers are repeated)" in message(lambda: rows(path))
    np.savez(path, numbers=eye, number_values=[0, 1])
    assert "has 3 rows but number_values has shape (2,)" in message(lambda: rows(path))
    np.savez(path, numbers=eye, number_values=[0, 1, 2.5])
    assert "must hold whole numbers" in message(lambda: rows(path))
    np.savez(path, numbers=np.zeros(3), number_values=[0, 1, 2])
    assert "must be a matrix" in message(lambda: rows(path))
    np.savez(path, numbers=eye, number_values=[50, 60, 70])
    assert "holds none of the numbers 0..9; it holds 50,60,70" in message(lambda: rows(path, "0..9"))
    np.savez(path, numbers=np.where(eye > 0, np.nan, 0.0), number_values=[4, 5, 6])
    assert "3 of 3 rows hold NaN or infinity (numbers 4, 5, 6)" in message(lambda: rows(path))
    np.savez(path, numbers=eye, number_values=[4, 5, 6], random=np.eye(4))
    assert "random has shape (4, 4); it must be a matrix of width 3" in message(lambda: rows(path))
    np.savez(path, numbers=np.array([["a"]]), number_values=[4])
    assert "it must hold numbers" in message(lambda: rows(path))


def test_pickles_inside_npz_are_never_loaded(tmp_path: Path) -> None:
    trap = np.array([{"a": 1}, {"b": 2}], dtype=object)
    np.savez(tmp_path / "r.npz", numbers=np.eye(2), number_values=trap)
    assert "cannot be read (Object arrays cannot be loaded" in message(lambda: rows(tmp_path / "r.npz"))


def test_an_npz_that_is_none_or_lies_is_refused(tmp_path: Path) -> None:
    import zipfile

    path = tmp_path / "r.npz"
    path.write_bytes(b"no zip at all")
    assert "is not a whole .npz file" in message(lambda: rows(path))
    np.savez(path, numbers=np.eye(2), number_values=[1, 2])
    path.write_bytes(path.read_bytes()[:-40])
    assert "is not a whole .npz file" in message(lambda: rows(path))
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (900000000000, 4), }"
    header = header.ljust(117) + b"\n"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("numbers.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + bytes(64))
    assert "does not hold the (900000000000, 4) array" in message(lambda: rows(path))
    assert "No such file" in message(lambda: rows(tmp_path / "none.npz"))
    assert "must end in .npz, .npy or .safetensors" in message(lambda: rows(tmp_path / "rows.csv"))


# ---------------------------------------------------------------- word vectors


def vectors(path: Path, numbers: str = "0..99", **params: Any) -> Representation:
    return read_vectors(model("vectors", path), NumberSet.parse(numbers), read="vectors", **params)


def write_vectors(path: Path, words: list[str], width: int = 5, header: bool = False) -> np.ndarray:
    matrix = np.random.default_rng(0).standard_normal((len(words), width)).round(6)
    lines = [f"{len(words)} {width}"] if header else []
    lines += [f"{word} {' '.join(map(str, row))}" for word, row in zip(words, matrix, strict=True)]
    text = "\n".join(lines).encode() + b"\n"
    path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)
    return matrix


WORDS = ["the", "7", "seven", "007", "3", "1990s", "-4", "\u00a0", ". . .", "12"]


@pytest.mark.parametrize("header", [False, True])
@pytest.mark.parametrize("name", ["v.txt", "v.vec.gz"])
def test_numbers_among_words_are_found(tmp_path: Path, name: str, header: bool) -> None:
    matrix = write_vectors(tmp_path / name, WORDS, header=header)
    rep = vectors(tmp_path / name, "-10..99")
    assert rep.numbers.tolist() == [-4, 3, 7, 12]
    np.testing.assert_array_equal(rep.matrix, matrix[[6, 4, 1, 9]])
    assert rep.token_ids is not None
    assert rep.token_ids.tolist() == [6, 4, 1, 9]
    assert rep.random_rows is not None
    assert {row.tobytes() for row in rep.random_rows} == {matrix[i].tobytes() for i in (0, 2, 7, 8)}


def test_the_reservoir_is_a_uniform_seeded_draw(tmp_path: Path) -> None:
    words = ["1", *(f"w{chr(97 + i // 26 // 26)}{chr(97 + i // 26 % 26)}{chr(97 + i % 26)}" for i in range(4000))]
    matrix = write_vectors(tmp_path / "v.txt", words, width=2)
    place = {row.tobytes(): i for i, row in enumerate(matrix)}
    means = []
    for seed in range(20):
        drawn = vectors(tmp_path / "v.txt", "1", seed=seed).random_rows
        assert drawn is not None
        at = [place[row.tobytes()] for row in drawn]
        assert len(set(at)) == 1000
        means.append(np.mean(at))
    # The mean place of 1,000 out of 4,000 has standard deviation 31.6; of 20 such means 7.1.
    assert abs(np.mean(means) - 2000.5) < 4 * 7.1
    again = vectors(tmp_path / "v.txt", "1", seed=19).random_rows
    np.testing.assert_array_equal(again, drawn)


def test_real_vectors_in_text_give_the_same_rows(shared: Path, tmp_path: Path) -> None:
    held = load_file(shared / "data" / "embeddings" / "glove_6b_50d_top2444.safetensors")
    lines = [
        f"{n} {' '.join(map(str, row.tolist()))}" for n, row in zip(held["number_values"], held["numbers"], strict=True)
    ]
    (tmp_path / "glove.txt").write_text("\n".join(lines))
    rep = vectors(tmp_path / "glove.txt", "0..9999")
    np.testing.assert_array_equal(rep.matrix.astype(np.float32), held["numbers"])


def test_faults_of_vector_files(tmp_path: Path) -> None:
    path = tmp_path / "v.txt"

    def fault(text: str | bytes) -> str:
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return message(lambda: vectors(path))

    assert "line 2: it has 1 values instead of 2" in fault("a 1 2\n7 1\n")
    assert "line 2: it has more than 2 values" in fault("a 1 2\n7 1 2 3\n")
    assert "line 3: could not convert string to float: b'x'" in fault("2 2\na 1 2\n7 1 x\n")
    assert "holds the word 7 twice, in lines 1 and 3" in fault("7 1 2\na 1 2\n7 1 2\n")
    assert "line 1: it has 0 values instead of one or more" in fault("word\n")
    assert "line 2: it is binary, but no format" in fault(b"a 1 2\nb \x00\x00\x80\x3f")
    assert "has no word that is a number of 0..99" in fault("a 1 2\nb 3 4\n")
    assert "1 of 1 rows hold NaN or infinity (numbers 7)" in fault("7 nan 2\n")
    assert "No such file" in message(lambda: vectors(tmp_path / "none.txt"))
    cut = tmp_path / "v.gz"
    write_vectors(cut, WORDS)
    cut.write_bytes(cut.read_bytes()[:-12])
    assert "is not a whole gzip file" in message(lambda: vectors(cut))
    cut.write_text("7 1 2\n")
    assert "is not a whole gzip file" in message(lambda: vectors(cut))


def test_a_header_that_does_not_match_is_noted(tmp_path: Path) -> None:
    (tmp_path / "v.vec").write_text("9 2\n7 1 2\na 1 2\n")
    assert vectors(tmp_path / "v.vec").provenance["notes"] == ["the header announces 9 words, the file holds 2"]


# ---------------------------------------------------------------- bare tokenizers, demo, fingerprints


def test_a_bare_tokenizer_has_no_rows(tmp_path: Path) -> None:
    write_tokenizer(tmp_path)
    spec, bare = SPECS["tokenizer"], model("tokenizer", tmp_path / "tokenizer.json")
    assert spec.reads == ()
    assert "is a tokenizer without weights" in message(lambda: spec.load()(bare, DIGITS, read="input"))


def test_an_unknown_demo_lists_those_there_are() -> None:
    assert "Allowed:" in message(lambda: SPECS["demo"].load()(model("demo", "none"), DIGITS, read="input"), UnknownName)


def test_every_demo_checkpoint_reads() -> None:
    from numgeom_plugins.sources import demo

    assert demo.names()
    for name in demo.names():
        rep = SPECS["demo"].load()(model("demo", name), NumberSet.parse("0..9"), read="input")
        assert rep.n == 10


def fingerprint(spec: SourceSpec, one: ModelSpec) -> str:
    from dataclasses import replace

    return str(replace(spec, target=spec.fingerprint).load()(one))


def test_fingerprints_change_with_the_files(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "c", {"wte.weight": table()})
    spec, one = SPECS["checkpoint"], model("checkpoint", folder)
    seen = [fingerprint(spec, one), fingerprint(spec, one)]
    assert seen[0] == seen[1]
    save_file({"wte.weight": table(1)}, folder / "model.safetensors")
    seen.append(fingerprint(spec, one))
    (folder / "config.json").write_text(json.dumps({"vocab_size": VOCABULARY}))
    seen.append(fingerprint(spec, one))
    write_tokenizer(folder, first=41)
    seen.append(fingerprint(spec, one))
    assert len(set(seen)) == 4


def test_fingerprints_of_big_files_go_by_time_and_size(tmp_path: Path) -> None:
    path = tmp_path / "rows.safetensors"
    with open(path, "wb") as file:
        file.truncate(200_000_000)
    spec, one = SPECS["rows"], model("rows", path)
    before = fingerprint(spec, one)
    with open(path, "r+b") as file:
        file.seek(150_000_000)
        file.write(b"x")
    os.utime(path, ns=(1, 1))
    assert fingerprint(spec, one) != before
    assert "No such file" in message(lambda: fingerprint(spec, model("rows", tmp_path / "none.npz")))


def test_fingerprints_of_recipes_and_tokenizers(tmp_path: Path) -> None:
    spec = SPECS["synthetic"]
    marks = {
        fingerprint(spec, model("synthetic", "walk")),
        fingerprint(spec, model("synthetic", "walk?seed=1")),
        fingerprint(spec, model("synthetic", "walk", seed=1)),
    }
    assert len(marks) == 3
    write_tokenizer(tmp_path)
    one = model("tokenizer", tmp_path / "tokenizer.json")
    before = fingerprint(SPECS["tokenizer"], one)
    write_tokenizer(tmp_path, first=41)
    assert fingerprint(SPECS["tokenizer"], one) != before


def test_nested_text_configs_are_searched(tmp_path: Path) -> None:
    tensors = {"model.language_model.embed_tokens.weight": table(), "model.vision.patch.weight": table(1, 500)}
    folder = write_checkpoint(tmp_path, tensors)
    nested = {"model_type": "nosuch", "text_config": {"vocab_size": VOCABULARY, "hidden_size": 8}}
    (folder / "config.json").write_text(json.dumps(nested))
    chosen = find_embedding(CheckpointFolder(folder), "input")
    assert chosen.tensor == "model.language_model.embed_tokens.weight"
