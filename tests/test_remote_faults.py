"""What goes wrong with models on a hub: one line each, and the other models go on."""

from __future__ import annotations

import errno
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hub_server import Hub, Repository, serving, turn_to
from safetensors.numpy import save
from small_repository import ROWS, WIDTH, commit, files, message, sharded, table, tokenizer_json

import numgeom
from numgeom import Incompatible, ModelSpec, NumberSet, Representation
from numgeom_plugins.sources.control import COUNT, control_ids, run_length
from numgeom_plugins.sources.hub import open_snapshot, read_hub
from numgeom_plugins.sources.tokenizers import is_number, random_token_ids


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with serving() as server:
        turn_to(server, tmp_path, monkeypatch)
        yield server


def put(hub: Hub, held: dict[str, bytes], name: str = "org/model") -> None:
    hub.repositories[name] = Repository({commit("a"): held})


def read(name: str = "org/model", source: str = "input", numbers: str = "0..99", revision: str = "") -> Representation:
    model = ModelSpec(name="m", source="hf", id=name, revision=revision)
    return read_hub(model, NumberSet.parse(numbers), read=source)


# ---------------------------------------------------------------- what is read


def test_only_headers_and_rows_of_the_shards_that_matter_cross_the_wire(hub: Hub) -> None:
    put(hub, sharded())
    read(numbers="3..5")
    sent = {one.path.rsplit("/", 1)[-1]: one.sent for one in hub.to("cdn")}
    assert set(sent) == {"model-00001-of-00003.safetensors"}
    heads = [one for one in hub.to("hub") if one.path.endswith(".safetensors")]
    assert [one.method for one in heads] == ["HEAD"]  # one call of the hub for all ranges of the shard


def test_more_numbers_cost_only_the_new_rows(hub: Hub) -> None:
    width = 2000
    matrix = np.random.default_rng(0).standard_normal((ROWS, width)).astype(np.float32)
    put(hub, {**files(), "model.safetensors": save({"wte.weight": matrix}), "config.json": b"{}"})
    read(numbers="0..49")
    hub.forget()
    np.testing.assert_array_equal(read(numbers="0..99").matrix, matrix[1:101])
    # Half of the numbers were here; the random tokens are others for another set, but the same rows.
    assert hub.sent() < 60 * width * 4


def test_a_second_reading_sends_no_body(hub: Hub) -> None:
    put(hub, sharded())
    first = read()
    hub.forget()
    assert read().digest == first.digest
    assert hub.sent() == 0
    hub.forget()
    # A commit never changes, so the hub is not asked at all.
    assert read(revision=commit("a")).digest == first.digest
    assert hub.to("cdn") == []
    assert [one.path for one in hub.to("hub")] == []


def test_a_shard_that_the_hubs_cache_holds_whole_is_read_there(hub: Hub) -> None:
    put(hub, sharded())
    snapshot = open_snapshot(ModelSpec(name="m", source="hf", id="org/model"))
    snapshot.fetch("model-00001-of-00003.safetensors")
    hub.forget()
    np.testing.assert_array_equal(read().matrix, table(1)[1:101])
    assert hub.to("cdn") == []


def test_the_same_rows_by_hub_and_by_folder(hub: Hub, tmp_path: Path) -> None:
    from numgeom_plugins.sources.checkpoint import read_checkpoint

    put(hub, sharded())
    for name, content in sharded().items():
        (tmp_path / name).write_bytes(content)
    local = ModelSpec(name="m", source="checkpoint", id=str(tmp_path))
    for source, seed in {"input": 1, "output": 2}.items():
        here = read_checkpoint(local, NumberSet.parse("0..99"), read=source)
        afar = read(source=source)
        np.testing.assert_array_equal(afar.matrix, here.matrix)
        np.testing.assert_array_equal(afar.matrix, table(seed)[1:101])
        assert here.random_rows is not None
        np.testing.assert_array_equal(afar.random_rows, here.random_rows)
        assert afar.provenance["random_token_ids"] == here.provenance["random_token_ids"]


def test_a_tied_output_is_no_second_source(hub: Hub) -> None:
    put(hub, files())
    with pytest.warns(numgeom.MeasurementWarning, match="W-TIED"), pytest.raises(Incompatible, match="tied"):
        read(source="output")
    held = sharded()
    held["model-00003-of-00003.safetensors"] = save({"lm_head.weight": table(1)})
    held["config.json"] = json.dumps({"vocab_size": ROWS, "hidden_size": WIDTH}).encode()
    put(hub, held, "org/copied")
    with pytest.warns(numgeom.MeasurementWarning, match="W-TIED"), pytest.raises(Incompatible, match="bit for bit"):
        read("org/copied", source="output")


def test_a_feed_forward_layer_taller_than_the_vocabulary_is_no_doubt(hub: Hub) -> None:
    tensors = {"model.embed_tokens.weight": table(0), "lm_head.weight": table(1)}
    tensors["model.layers.0.mlp.up_proj.weight"] = np.zeros((4 * ROWS, WIDTH), np.float32)
    config = {"vocab_size": ROWS, "hidden_size": WIDTH, "tie_word_embeddings": False}
    put(hub, {**files(), "model.safetensors": save(tensors), "config.json": json.dumps(config).encode()})
    rep = read()
    np.testing.assert_array_equal(rep.matrix, table(0)[1:101])
    assert not any("transformers" in note for note in rep.provenance["notes"])


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"model_type": "gemma2", "hidden_size": WIDTH}, "the model multiplies them by sqrt(d)"),
        ({"model_type": "bart", "d_model": WIDTH, "scale_embedding": True}, "the model multiplies them by sqrt(d)"),
        ({"model_type": "granite", "hidden_size": WIDTH, "embedding_multiplier": 12.0}, "multiplies them by 12"),
        ({"model_type": "albert", "hidden_size": 64, "embedding_size": WIDTH}, "before the model projects them to 64"),
        ({"model_type": "llama", "hidden_size": WIDTH, "scale_embedding": False}, ""),
    ],
)
def test_what_the_model_does_to_the_rows_is_said(hub: Hub, config: dict[str, object], said: str) -> None:
    put(hub, {**files(), "config.json": json.dumps({"vocab_size": ROWS, **config}).encode()})
    notes = " ".join(read().provenance["notes"])
    assert said in notes
    assert bool(said) == ("rows are" in notes)


def test_eight_bit_rows_and_their_scale_are_kept(hub: Hub) -> None:
    import torch
    from safetensors.torch import save as save_torch

    stored = torch.from_numpy(table(0).copy()).to(torch.float8_e4m3fn)
    scale = torch.rand(ROWS, 1) + 0.5
    tensors = {"wte.weight": stored, "wte.weight_scale": scale}
    put(hub, {**files(), "model.safetensors": save_torch(tensors)})
    np.testing.assert_array_equal(read().matrix, (stored.float() * scale)[1:101].numpy())
    hub.forget()
    np.testing.assert_array_equal(read().matrix, (stored.float() * scale)[1:101].numpy())
    assert hub.sent() == 0


# ---------------------------------------------------------------- faults


def test_an_index_naming_a_tensor_that_is_not_there(hub: Hub) -> None:
    held = sharded()
    held["model-00001-of-00003.safetensors"] = save({"another.weight": table(1)})
    put(hub, held)
    said = message(read)
    assert "says that model-00001-of-00003.safetensors holds 'model.embed_tokens.weight', but it does not" in said


def test_a_shard_that_the_repository_lacks(hub: Hub) -> None:
    held = sharded()
    del held["model-00001-of-00003.safetensors"]
    put(hub, held)
    assert "has no file model-00001-of-00003.safetensors" in message(read)


def test_a_vocabulary_smaller_than_a_token_id(hub: Hub) -> None:
    short = {"wte.weight": table(0)[:80]}
    config = json.dumps({"vocab_size": 80, "hidden_size": WIDTH}).encode()
    put(hub, {**files(), "model.safetensors": save(short), "config.json": config})
    said = message(read)
    assert "number 99 has token id 100, but 'wte.weight'" in said
    assert "has only 80 rows: tokenizer and weights do not belong together" in said


def test_a_cut_header_or_body_is_resumed(hub: Hub) -> None:
    put(hub, sharded())
    hub.cut = 2
    np.testing.assert_array_equal(read().matrix, table(1)[1:101])
    assert hub.cut == 0


def test_a_hub_without_ranges_gives_the_rows_and_a_note(hub: Hub) -> None:
    put(hub, sharded())
    hub.ranges = False
    rep = read()
    np.testing.assert_array_equal(rep.matrix, table(1)[1:101])
    assert any("sends no parts of files" in note for note in rep.provenance["notes"])


def test_a_busy_hub_is_waited_for(hub: Hub) -> None:
    put(hub, sharded())
    hub.busy = [("hub", 429, "3"), ("hub", 503, ""), ("cdn", 503, "")]
    np.testing.assert_array_equal(read().matrix, table(1)[1:101])
    assert hub.busy == []
    assert hub.waits
    assert max(hub.waits) >= 1


def test_an_expired_address_is_resolved_again(hub: Hub) -> None:
    put(hub, sharded())
    hub.uses = 1
    np.testing.assert_array_equal(read().matrix, table(1)[1:101])
    heads = [one for one in hub.to("hub") if one.path.endswith("model-00001-of-00003.safetensors")]
    assert len(heads) == 2


def test_a_full_disk_is_said_so(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import file_download

    def full(**kept: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    put(hub, sharded())
    monkeypatch.setattr(file_download, "_download_to_tmp_and_move", full)
    said = message(read)
    assert "could not be kept (OSError: [Errno 28] No space left on device)" in said
    assert "make room on the disk, or set HF_HOME" in said


def test_a_cache_of_rows_that_cannot_be_written_costs_only_a_note(hub: Hub, tmp_path: Path) -> None:
    put(hub, sharded())
    (tmp_path / "assets").write_bytes(b"a file where the folder should be")
    rep = read()
    np.testing.assert_array_equal(rep.matrix, table(1)[1:101])
    assert any("the rows were not kept" in note for note in rep.provenance["notes"])


def test_weights_as_pickles_only_are_not_fetched(hub: Hub) -> None:
    held = files()
    del held["model.safetensors"]
    put(hub, {**held, "pytorch_model.bin": b"\x80"})
    assert "(pytorch_model.bin), of which no rows can be read from afar; download it whole" in message(read)
    assert "pytorch_model.bin" not in hub.files_sent()


def test_one_models_fault_is_its_row_and_the_others_go_on(hub: Hub) -> None:
    for name, seed in {"org/one": 1, "org/two": 2, "org/gated": 3, "org/torn": 4}.items():
        put(hub, files(seed), name)
    hub.repositories["org/gated"].refusal = (401, "GatedRepo")
    hub.repositories["org/torn"].commits[commit("a")]["model.safetensors"] = files(4)["model.safetensors"][:-9]
    models = ["a=hf:org/one", "b=hf:org/two", "c=hf:org/gated", "d=hf:org/one@v9", "e=hf:org/torn"]
    study = numgeom.compare(models, numbers="0..99", metrics="cka_linear", nulls="none", cache=False)
    frame = study.frame
    good = frame[(frame["model_a"] == "a") & (frame["model_b"] == "b")]
    assert set(good["status"]) == {"ok"}
    reasons = {name: " ".join(frame.loc[frame["model_b"] == name, "reason"]) for name in "cde"}
    assert "org/gated is gated: accept its terms on its page of the hub, then set HF_TOKEN" in reasons["c"]
    assert "org/one has no revision 'v9'" in reasons["d"]
    assert "is not a whole safetensors file" in reasons["e"]


PROCESS = """
import sys
from pathlib import Path
from numgeom_plugins.sources.file_bytes import LocalBytes
from numgeom_plugins.sources.row_cache import CachedFile, RowCache
matrix = CachedFile(LocalBytes(Path(sys.argv[1])), RowCache("m", "v"), "x").read_rows("x", range(int(sys.argv[2]), 400))
sys.exit(not all((matrix[i] == i + int(sys.argv[2])).all() for i in range(len(matrix))))
"""


def test_several_processes_share_one_cache(tmp_path: Path) -> None:
    matrix = np.repeat(np.arange(400, dtype=np.float32)[:, None], 64, axis=1)
    (tmp_path / "x.safetensors").write_bytes(save({"x": matrix}))
    import os

    env = {**os.environ, "HF_ASSETS_CACHE": str(tmp_path / "assets")}
    command = [sys.executable, "-c", PROCESS, str(tmp_path / "x.safetensors")]
    running = [subprocess.Popen([*command, str(first)], env=env) for first in (0, 0, 100, 200)]
    assert [process.wait() for process in running] == [0] * 4
    assert list((tmp_path / "assets").rglob(".writing-*")) == []


# ---------------------------------------------------------------- the control


class Words:
    """A vocabulary of 20,000 words in which every 17th token is a number."""

    name, kind, vocab_size, special_ids, notes = "words", "stand-in", 20_000, frozenset({0, 1, 2}), ()

    def encode(self, text: str) -> tuple[int, ...]:
        return self.encode_number(int(text))

    def encode_number(self, number: int, template: str = "{n}") -> tuple[int, ...]:
        return (17 * number + 5,)

    def token_text(self, token_id: int) -> str:
        number, rest = divmod(token_id - 5, 17)
        return str(number) if rest == 0 and 0 <= number < 1000 else f"w{token_id}"


def test_the_control_is_runs_of_tokens_that_are_no_numbers() -> None:
    words = Words()
    ids = np.array([words.encode_number(n)[0] for n in range(1000)])
    drawn = control_ids(words, ids, rows=19_000)
    assert len(drawn) == COUNT == len(set(drawn.tolist()))
    assert not set(drawn.tolist()) & set(ids.tolist())
    assert drawn.min() > 2
    assert drawn.max() < 19_000
    np.testing.assert_array_equal(drawn, control_ids(words, ids, rows=19_000))
    length = run_length(ids)
    assert length > 1
    allowed = random_token_ids(words, ids, count=20_000)
    starts = 1 + int((np.diff(np.searchsorted(allowed, drawn)) > 1).sum())
    assert starts <= -(-COUNT // length) + 1
    assert not any(is_number(words, (token,), n) for n, token in zip(range(1000), drawn.tolist(), strict=False))


def test_every_token_is_as_likely_to_be_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    from numgeom_plugins.sources import control

    words = Words()
    words.vocab_size = 4000
    ids = np.arange(100, 200)
    counts = np.zeros(4000)
    for seed in range(200):
        monkeypatch.setattr(control, "SEED", seed)
        counts[control_ids(words, ids, rows=4000)] += 1
    allowed = random_token_ids(words, ids, count=4000)
    assert counts.sum() == counts[allowed].sum() == 200 * COUNT
    expected = 200 * COUNT / len(allowed)
    # Each count is near binomial: its mean square is its variance, and ends are drawn as often as the middle.
    share = COUNT / len(allowed)
    spread = np.mean((counts[allowed] - expected) ** 2) / (200 * share * (1 - share))
    assert 0.8 < spread < 1.25
    for part in np.array_split(counts[allowed], 10):
        assert abs(part.mean() / expected - 1) < 0.1


def test_a_small_vocabulary_is_its_own_control() -> None:
    from numgeom_plugins.sources.tokenizers import open_tokenizer

    assert len(tokenizer_json()) > 0
    words = Words()
    words.vocab_size = 500
    assert len(control_ids(words, np.array([5, 22]), rows=500)) == len(random_token_ids(words, [5, 22], count=500))
    assert callable(open_tokenizer)
