"""Sound files of every format, and ways to spoil them: the material of test_hostile_files.py."""

from __future__ import annotations

import base64
import gzip
import io
import json
import random
import re
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

VOCABULARY, WIDTH = 160, 32
FIRST = 40
Files = dict[str, bytes]
EXTREMES: tuple[Any, ...] = (
    -1, 0, 1, 2**31, 2**32, 2**53, 2**63, 10**30, -(10**30), 1e308, float("inf"), float("nan"),
    None, True, "", "x", "../../etc/passwd", "/etc/passwd", "\u0000", "\ud800", [], {}, [[]], [-1], ["x"], {"a": {}},
)  # fmt: skip
PATTERNS = (
    *(
        struct.pack(form, value)
        for form in ("<B", "<H", "<I", "<Q")
        for value in (0, 1, 2 ** (8 * struct.calcsize(form) - 1), 2 ** (8 * struct.calcsize(form)) - 1)
    ),
    struct.pack("<I", 2**24),
    struct.pack("<Q", 2**40),
    struct.pack("<Q", 2**62),
)
CONFIG = {
    "model_type": "llama",
    "architectures": ["LlamaForCausalLM"],
    "vocab_size": VOCABULARY,
    "hidden_size": WIDTH,
    "intermediate_size": 200,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "tie_word_embeddings": False,
    "quantization_config": None,
}


def table(seed: int = 0, rows: int = VOCABULARY, width: int = WIDTH) -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.random.default_rng(seed).standard_normal((rows, width)).astype(np.float32)


def word_level() -> dict[str, Any]:
    words = {"<unk>": 0, **{f"w{chr(97 + n // 26)}{chr(97 + n % 26)}": n for n in range(1, VOCABULARY)}}
    numbers = {str(n): FIRST + n for n in range(100)}
    kept = {word: place for word, place in words.items() if not FIRST <= place < FIRST + 100}
    empty = dict.fromkeys(("truncation", "padding", "normalizer", "pre_tokenizer", "post_processor", "decoder"))
    model = {"type": "WordLevel", "vocab": {**kept, **numbers}, "unk_token": "<unk>"}
    added = [{"id": 0, "content": "<unk>", "special": True, "single_word": False, "lstrip": False, "rstrip": False,
              "normalized": False}]  # fmt: skip
    return {"version": "1.0", "added_tokens": added, **empty, "pre_tokenizer": {"type": "Whitespace"}, "model": model}


def byte_pairs() -> dict[str, Any]:
    from numgeom_plugins.sources.tokenizers.fast import byte_of_character

    vocabulary = {character: rank for rank, character in enumerate(byte_of_character())}
    vocabulary |= {"12": 256, "\u01207": 257, "<|endoftext|>": 258}
    model = {"type": "BPE", "vocab": vocabulary, "merges": ["1 2", "\u0120 7"], "dropout": None, "unk_token": None}
    step = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    empty = dict.fromkeys(("truncation", "padding", "normalizer", "post_processor"))
    return {"version": "1.0", "added_tokens": [], **empty, "pre_tokenizer": step, "decoder": step, "model": model}


def sentencepiece() -> bytes:
    from sentencepiece import SentencePieceTrainer

    model = io.BytesIO()
    SentencePieceTrainer.train(
        sentence_iterator=iter(["a 7 12 - 5 = 3 4 6 8 9 0 1 2"] * 20),
        model_writer=model,
        model_type="bpe",
        vocab_size=288,
        byte_fallback=True,
        hard_vocab_limit=False,
        minloglevel=2,
    )
    return model.getvalue()


def packed(tensors: Mapping[str, Any]) -> bytes:
    from safetensors.numpy import save

    return bytes(save(dict(tensors)))


def pickled(tensors: Mapping[str, Any]) -> bytes:
    import torch

    out = io.BytesIO()
    torch.save({name: torch.from_numpy(matrix) for name, matrix in tensors.items()}, out)
    return out.getvalue()


def gguf_file(folder: Path, kind: str) -> bytes:
    import gguf

    writer = gguf.GGUFWriter(folder / "seed.gguf", "llama")
    writer.add_tokenizer_model(kind)
    if kind == "bert":
        words = ["[UNK]", *(f"\u2581w{chr(97 + n // 26)}{chr(97 + n % 26)}" for n in range(1, VOCABULARY))]
        tokens = [f"\u2581{p - FIRST}" if FIRST <= p < FIRST + 100 else word for p, word in enumerate(words)]
    elif kind == "gpt2":
        tokens = list(byte_pairs()["model"]["vocab"])
        writer.add_token_merges(["1 2", "\u0120 7"])
        writer.add_tokenizer_pre("llama-bpe")
    else:
        tokens = ["<unk>", "<s>", "</s>", *(f"<0x{n:02X}>" for n in range(256)), "\u2581", *"0123456789", "12"]
        writer.add_token_scores([-float(n) for n in range(len(tokens))])
        writer.add_token_types([2, 3, 3, *[6] * 256, *[1] * 12])
    writer.add_token_list(tokens)
    held = gguf.quants.quantize(table(0, max(VOCABULARY, len(tokens))), gguf.GGMLQuantizationType.Q8_0)
    writer.add_tensor("token_embd.weight", held, raw_dtype=gguf.GGMLQuantizationType.Q8_0)
    writer.add_tensor("output_norm.weight", np.ones(WIDTH, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return (folder / "seed.gguf").read_bytes()


def fasttext() -> bytes:
    words = ["</s>", "the", *(str(n) for n in range(0, 100, 3))]
    out = struct.pack("<2i", 793712314, 12) + struct.pack("<12id", 4, 5, 5, 1, 5, 1, 2, 2, 30, 2, 3, 100, 1e-4)
    out += struct.pack("<3i2q", len(words), len(words), 0, 1000, -1)
    out += b"".join(word.encode() + b"\0" + struct.pack("<qb", 9, 0) for word in words)
    return out + struct.pack("<?2q", False, len(words) + 30, 4) + table(0, len(words) + 30, 4).tobytes()


def word2vec() -> bytes:
    words = ["</s>", "the", *(str(n) for n in range(0, 100, 3))]
    rows = zip(words, table(0, len(words), 4), strict=True)
    return b"%d 4\n" % len(words) + b"".join(word.encode() + b" " + row.tobytes() + b"\n" for word, row in rows)


def arrays(save: Callable[..., None], **held: Any) -> bytes:
    out = io.BytesIO()
    save(out, **held)
    return out.getvalue()


def sound(folder: Path) -> dict[str, tuple[str, Files, tuple[str, ...], int]]:
    """Name to (kind, files, the files to spoil, how many times)."""
    tall = {"model.layers.0.mlp.up_proj.weight": table(2, 200)}
    tensors = {"model.embed_tokens.weight": table(0), "lm_head.weight": table(1), **tall}
    # Two tables of one name leave a doubt, so that transformers is asked what the config makes of them.
    doubtful = {**tensors, "other.embed_tokens.weight": table(3)}
    config, tokenizer = json.dumps(CONFIG).encode(), json.dumps(word_level()).encode()
    both = {"config.json": config, "tokenizer.json": tokenizer}
    shards = {f"model-0000{i}-of-00003.safetensors": {name: held} for i, (name, held) in enumerate(tensors.items(), 1)}
    weights = {name: shard for shard, held in shards.items() for name in held}
    index = json.dumps({"metadata": {"total_size": 1}, "weight_map": weights}).encode()
    numbers = {"numbers": table(0, 100), "number_values": np.arange(100), "random": table(1, 20)}
    lines = "".join(f"{n} {' '.join(map(str, row))}\n" for n, row in enumerate(table(0, 100, 4).tolist())).encode()
    ranks = b"".join(
        base64.b64encode(piece) + b" %d\n" % rank
        for rank, piece in enumerate([*(bytes([byte]) for byte in range(256)), b"12", b" 7"])
    )
    pieces = ["[PAD]", "[UNK]", *(str(n) for n in range(100)), "##0", "the", "cats"]
    single = "model.safetensors"
    return {
        "safetensors": ("checkpoint", {**both, single: packed(tensors)}, (single,), 180),
        "config": ("checkpoint", {**both, single: packed(doubtful)}, ("config.json",), 140),
        "checkpoint_tokenizer": ("checkpoint", {**both, single: packed(tensors)}, ("tokenizer.json",), 60),
        "index": (
            "checkpoint",
            {**both, "model.safetensors.index.json": index, **{name: packed(held) for name, held in shards.items()}},
            ("model.safetensors.index.json",),
            120,
        ),
        "pickle": ("checkpoint", {**both, "pytorch_model.bin": pickled(tensors)}, ("pytorch_model.bin",), 80),
        **{f"gguf_{kind}": ("gguf", {"m.gguf": gguf_file(folder, kind)}, ("m.gguf",), 70) for kind in
           ("bert", "gpt2", "llama")},
        "fast": ("tokenizer", {"tokenizer.json": json.dumps(byte_pairs()).encode()}, ("tokenizer.json",), 80),
        "sentencepiece": ("tokenizer", {"tokenizer.model": sentencepiece()}, ("tokenizer.model",), 60),
        "tiktoken": ("tokenizer", {"t.tiktoken": ranks}, ("t.tiktoken",), 30),
        "vocab": ("tokenizer", {"vocab.txt": "\n".join(pieces).encode()}, ("vocab.txt",), 20),
        "npz": ("rows", {"r.npz": arrays(np.savez, **numbers)}, ("r.npz",), 30),
        "npy": ("rows", {"r.npy": arrays(np.save, arr=table(0, 100))}, ("r.npy",), 15),
        "rows": ("rows", {"r.safetensors": packed(numbers)}, ("r.safetensors",), 15),
        "glove": ("vectors", {"v.txt": lines}, ("v.txt",), 20),
        "packed": ("vectors", {"v.gz": gzip.compress(lines)}, ("v.gz",), 15),
        "word2vec": ("vectors", {"v.bin": word2vec()}, ("v.bin",), 20),
        "fasttext": ("vectors", {"v.bin": fasttext()}, ("v.bin",), 20),
    }  # fmt: skip


# ---------------------------------------------------------------- spoiling


def spoiled(content: bytes, rng: random.Random) -> bytes:
    """``content`` with one to three faults of random kinds."""
    for _ in range(rng.choice((1, 1, 2, 3))):
        content = rng.choice(FAULTS)(content, rng)
    return content


def _place(content: bytes, rng: random.Random) -> int:
    """Anywhere, but rather in the head, where sizes and types stand."""
    return rng.randrange(max(1, min(len(content), rng.choice((16, 64, 512, 4096, len(content))))))


def flip(content: bytes, rng: random.Random) -> bytes:
    out = bytearray(content)
    for _ in range(rng.randint(1, 8)):
        if out:
            out[_place(content, rng)] ^= 1 << rng.randrange(8)
    return bytes(out)


def extreme(content: bytes, rng: random.Random) -> bytes:
    at, pattern = _place(content, rng), rng.choice(PATTERNS)
    at -= at % rng.choice((1, len(pattern)))
    return content[:at] + pattern + content[at + len(pattern) :]


def cut(content: bytes, rng: random.Random) -> bytes:
    return content[: _place(content, rng)]


def insert(content: bytes, rng: random.Random) -> bytes:
    at, start = _place(content, rng), _place(content, rng)
    more = rng.choice((rng.randbytes(rng.randint(1, 40)), content[start : start + 64], b"[" * 3000, b"9" * 30))
    return content[:at] + more + content[at:]


def drop(content: bytes, rng: random.Random) -> bytes:
    at = _place(content, rng)
    return content[:at] + content[at + rng.choice((1, 4, 8, 100)) :]


def renumber(content: bytes, rng: random.Random) -> bytes:
    """Another number where one stands in the text."""
    found = [match.span() for match in re.finditer(rb"\d+", content[:65_536])]
    if not found:
        return flip(content, rng)
    start, stop = rng.choice(found)
    number = rng.choice((b"-1", b"0", b"7", b"4294967296", b"9" * 25, b"1e400", b"null"))
    return content[:start] + number + content[stop:]


def revalue(content: bytes, rng: random.Random) -> bytes:
    """Another value somewhere in a JSON document, or in the JSON head of a safetensors file."""
    length = int.from_bytes(content[:8], "little")
    framed = 8 < length + 8 <= len(content)
    try:
        document = json.loads(content[8 : 8 + length] if framed else content)
    except (ValueError, RecursionError):
        return extreme(content, rng)
    spot, parent = document, None
    while isinstance(spot, (dict, list)) and spot and (parent is None or rng.random() < 0.75):
        parent, key = spot, rng.choice(list(spot)) if isinstance(spot, dict) else rng.randrange(len(spot))
        spot = parent[key]
    if parent is None:
        return extreme(content, rng)
    if isinstance(parent, dict) and rng.random() < 0.2:
        parent[rng.choice(("", "__metadata__", "x", "lm_head.weight", "text_config"))] = parent.pop(key)
    else:
        parent[key] = rng.choice(EXTREMES)
    text = json.dumps(document).encode("utf-8", "surrogatepass")
    return len(text).to_bytes(8, "little") + text + content[8 + length :] if framed else text


FAULTS = (flip, extreme, cut, insert, drop, renumber, revalue, revalue, revalue)
