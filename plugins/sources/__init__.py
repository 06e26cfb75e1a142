"""Embedding sources: where the rows of a number set come from. Each reads only the rows it needs."""

from __future__ import annotations

from collections.abc import Iterable

from numgeom import SourceSpec, hookimpl

_HERE = "numgeom_plugins.sources"
_EMBEDDINGS = ("input", "output")
_ADDRESSES = {
    "https": "on a web server",
    "http": "on a web server without encryption",
    "s3": "on Amazon S3 (package s3fs)",
    "gs": "on Google Cloud Storage (package gcsfs)",
}


@hookimpl
def numgeom_sources() -> Iterable[SourceSpec]:
    """Checkpoint folders, the hub, demo checkpoints, files of rows or word vectors, formulas, and bare tokenizers."""
    own = [
        SourceSpec(
            name="checkpoint",
            summary="A Hugging Face folder with safetensors or PyTorch weights: rows of the input or output embedding",
            version=2,
            target=f"{_HERE}.checkpoint:read_checkpoint",
            reads=_EMBEDDINGS,
            tokenizer=f"{_HERE}.tokenizers:load_tokenizer",
            fingerprint=f"{_HERE}.fingerprint:folder",
            params={"tensor": ""},
            paths=True,
        ),
        SourceSpec(
            name="hf",
            summary="A model on a Hugging Face hub, org/name@revision: rows of the input or output embedding",
            version=2,
            target=f"{_HERE}.hub:read_hub",
            reads=_EMBEDDINGS,
            tokenizer=f"{_HERE}.hub:load_tokenizer",
            fingerprint=f"{_HERE}.hub:hub_fingerprint",
            revisions=True,
            params={"tensor": ""},
        ),
        *(
            SourceSpec(
                name=scheme,
                summary=f"A checkpoint folder {where}: rows of the input or output embedding",
                target=f"{_HERE}.remote:read_remote",
                reads=_EMBEDDINGS,
                tokenizer=f"{_HERE}.remote:load_tokenizer",
                fingerprint=f"{_HERE}.remote:remote_fingerprint",
                params={"tensor": ""},
            )
            for scheme, where in _ADDRESSES.items()
        ),
        SourceSpec(
            name="demo",
            summary="A tiny checkpoint that comes with numgeom: works offline, is no language model of any use",
            version=2,
            target=f"{_HERE}.bundled:read_demo",
            reads=_EMBEDDINGS,
            tokenizer=f"{_HERE}.bundled:load_tokenizer",
            fingerprint=f"{_HERE}.bundled:demo_fingerprint",
        ),
        SourceSpec(
            name="gguf",
            summary="A GGUF file (llama.cpp): dequantised rows of the input or output embedding",
            target=f"{_HERE}.gguf:read_gguf",
            requires=("gguf",),
            reads=_EMBEDDINGS,
            tokenizer=f"{_HERE}.tokenizers:load_tokenizer",
            fingerprint=f"{_HERE}.gguf:gguf_fingerprint",
            paths=True,
        ),
        SourceSpec(
            name="rows",
            summary="Rows taken out of a model before: .npz or .safetensors of numbers and number_values, or .npy",
            target=f"{_HERE}.rows:read_rows",
            reads=("vectors",),
            fingerprint=f"{_HERE}.fingerprint:file",
            paths=True,
        ),
        SourceSpec(
            name="vectors",
            summary="Static word vectors: word2vec as text or binary, GloVe, fastText .vec or .bin, optionally .gz",
            reference="Pennington et al. 2014; Mikolov et al. 2013, arXiv:1301.3781; Bojanowski et al. 2017",
            target=f"{_HERE}.vectors:read_vectors",
            reads=("vectors",),
            fingerprint=f"{_HERE}.fingerprint:file",
            params={"seed": 0},
            paths=True,
        ),
        SourceSpec(
            name="synthetic",
            summary="Known answers by formula: line, circle, helix, walk, iid",
            reference="Kantamneni & Tegmark 2025, arXiv:2502.00873 (helix)",
            target=f"{_HERE}.synthetic:read_synthetic",
            reads=("vectors",),
            fingerprint=f"{_HERE}.fingerprint:recipe",
            params={"d": 64, "seed": 0, "noise": 0.0, "periods": "", "amplitudes": ""},
        ),
        SourceSpec(
            name="tokenizer",
            summary="A tokenizer alone, for probes: no rows",
            target=f"{_HERE}.tokenizer_only:refuse",
            tokenizer=f"{_HERE}.tokenizers:load_tokenizer",
            fingerprint=f"{_HERE}.tokenizers:fingerprint",
            paths=True,
        ),
        SourceSpec(
            name="counts",
            summary="Your frequency file, .csv, .tsv or .json, as log(count + 1): the frequency control",
            target=f"{_HERE}.counts:read_counts",
            reads=("counts",),
            fingerprint=f"{_HERE}.fingerprint:file",
            paths=True,
        ),
    ]
    return [
        *own,
        SourceSpec(
            name="merge_rank",
            summary="log(token id + 1): the frequency control that needs only a tokenizer",
            reference="Fu et al. 2026, arXiv:2604.20817 (why a control is needed)",
            target=f"{_HERE}.merge_rank:read_merge_rank",
            schemes=tuple(card.name for card in own if card.tokenizer is not None),
            reads=("merge_rank",),
        ),
        SourceSpec(
            name="pooled",
            summary="Input rows of numbers of several tokens, pooled: mean, last, first, sum or positional sum",
            target=f"{_HERE}.pooled:read_pooled",
            schemes=tuple(card.name for card in own if "input" in card.reads),
            reads=("pooled:mean", "pooled:last", "pooled:first", "pooled:sum", "pooled:positional"),
            params={"tensor": ""},
        ),
        SourceSpec(
            name="hidden",
            summary="The residual stream at the last token of each number: hidden:0 to hidden:L, all in one pass",
            reference="Kantamneni & Tegmark 2025, arXiv:2502.00873",
            target=f"{_HERE}.hidden:read_hidden",
            schemes=("checkpoint", "hf", "demo"),
            reads=("hidden:{}",),
            params={
                "templates": "",
                "block": "after",
                "final_norm": True,
                "device": "auto",
                "dtype": "float32",
                "batch": 64,
                "controls": 1000,
                "trust_remote_code": False,
            },
        ),
    ]
