"""A checkpoint of the shape of a 7B model that takes next to no disk: sparse files, with only some rows written."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

WIDTH, LAYERS, HIDDEN, SHARDS = 4096, 32, 11008, 6


def scattered_ids(vocabulary: int, seed: int = 0) -> np.ndarray:
    """``(1000,)``: the token ids of 0..999, anywhere in the vocabulary."""
    return np.random.default_rng(seed).choice(np.arange(10, vocabulary), size=1000, replace=False)


def write_big_checkpoint(
    folder: Path, vocabulary: int, *, width: int = WIDTH, layers: int = LAYERS, tokenizer: Path | None = None
) -> dict[str, Path]:
    """Files of an untied Llama in six bfloat16 shards; number n has the input row ``1 + (n % 128) / 128``.

    Its tokenizer is the one given, or one in which the numbers lie anywhere.
    """
    folder.mkdir(parents=True, exist_ok=True)
    ids = _write_tokenizer(folder, vocabulary, tokenizer)
    hidden = HIDDEN * width // WIDTH
    shards: list[dict[str, tuple[int, ...]]] = [{} for _ in range(SHARDS)]
    shards[0]["model.embed_tokens.weight"] = (vocabulary, width)
    shards[-1]["lm_head.weight"] = (vocabulary, width)
    for layer in range(layers):
        shard = shards[layer * SHARDS // layers]
        for part, shape in {"gate": (hidden, width), "up": (hidden, width), "down": (width, hidden)}.items():
            shard[f"model.layers.{layer}.mlp.{part}_proj.weight"] = shape
        for part in "qkvo":
            shard[f"model.layers.{layer}.self_attn.{part}_proj.weight"] = (width, width)
        for part in ("input", "post_attention"):
            shard[f"model.layers.{layer}.{part}_layernorm.weight"] = (width,)
    shards[-1]["model.norm.weight"] = (width,)
    index: dict[str, str] = {}
    for i, shard in enumerate(shards):
        name = f"model-{i + 1:05}-of-{SHARDS:05}.safetensors"
        index.update(dict.fromkeys(shard, name))
        _write_shard(folder / name, shard, ids, width)
    config = {"model_type": "llama", "architectures": ["LlamaForCausalLM"], "tie_word_embeddings": False}
    shape = {"vocab_size": vocabulary, "hidden_size": width, "intermediate_size": hidden, "num_hidden_layers": layers}
    (folder / "config.json").write_text(json.dumps({**config, **shape, "num_attention_heads": max(1, width // 128)}))
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": index}))
    return {path.name: path for path in folder.iterdir()}


def _write_shard(path: Path, tensors: dict[str, tuple[int, ...]], ids: np.ndarray, width: int) -> None:
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    start = 0
    for name, shape in tensors.items():
        stop = start + 2 * math.prod(shape)
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [start, stop]}
        start = stop
    text = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + start)
        if "model.embed_tokens.weight" in tensors:
            for number, token in enumerate(ids.tolist()):
                file.seek(8 + len(text) + header["model.embed_tokens.weight"]["data_offsets"][0] + 2 * token * width)
                file.write(np.full(width, 0x3F80 + number % 128, dtype="<u2").tobytes())


def _write_tokenizer(folder: Path, vocabulary: int, given: Path | None) -> np.ndarray:
    """Returns the token ids of 0..999."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "PreTrainedTokenizerFast"}))
    if given is not None:
        (folder / "tokenizer.json").write_bytes(given.read_bytes())
        real = Tokenizer.from_file(str(given))
        return np.array([real.token_to_id(str(number)) for number in range(1000)])
    numbers = {str(number): token for number, token in enumerate(scattered_ids(vocabulary).tolist())}
    taken = set(numbers.values())
    entries = {f"w{token}": token for token in range(vocabulary) if token not in taken} | numbers
    tokenizer = Tokenizer(models.WordLevel(entries, unk_token="w0"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(folder / "tokenizer.json"))
    return scattered_ids(vocabulary)
