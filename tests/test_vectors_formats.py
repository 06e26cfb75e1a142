"""Word vectors: every format gives the rows that were written, one pass, bounded memory, and faults in one line."""

from __future__ import annotations

import gzip
import struct
import tracemalloc
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from numgeom import ModelSpec, NumberSet, Representation, SourceError
from numgeom_plugins.sources.fasttext_binary import FastTextBinary, fnv1a, ngrams
from numgeom_plugins.sources.vectors import MOST_LINE_BYTES, read_vectors

WORDS = ["</s>", "the", "7", "seven", "007", "3", "1990s", "-4", "\u00e9t\u00e9", "12", "0.5"]
NUMBERS = {-4: 7, 3: 5, 7: 2, 12: 9}  # number -> place in WORDS
CONTROL = [0, 1, 3, 8]


def read(path: Path, numbers: str = "-10..99", **params: Any) -> Representation:
    model = ModelSpec(name="m", source="vectors", id=str(path))
    return read_vectors(model, NumberSet.parse(numbers), read="vectors", **params)


def message(call: Callable[[], object]) -> str:
    with pytest.raises(SourceError) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def table(words: Sequence[str] = WORDS, width: int = 5) -> np.ndarray[Any, Any]:
    return np.random.default_rng(0).standard_normal((len(words), width)).astype(np.float32)


def word2vec(path: Path, *, breaks: bool = True, words: Sequence[str] = WORDS, claimed: int | None = None) -> Path:
    """A binary word2vec file: as Mikolov's program writes it, or as gensim does, without line breaks."""
    matrix = table(words)
    out = b"%d %d\n" % (len(words) if claimed is None else claimed, matrix.shape[1])
    for word, row in zip(words, matrix, strict=True):
        out += word.encode() + b" " + row.astype("<f4").tobytes() + (b"\n" if breaks else b"")
    path.write_bytes(gzip.compress(out) if path.suffix == ".gz" else out)
    return path


def fasttext(path: Path, *, minn: int = 2, maxn: int = 3, bucket: int = 50, **change: Any) -> np.ndarray[Any, Any]:
    """A fastText .bin file with one label; returns its input matrix."""
    words = change.get("words", WORDS)
    width = 4
    matrix = np.random.default_rng(1).standard_normal((len(words) + bucket, width)).astype("<f4")
    # dim ws epoch minCount neg wordNgrams loss model bucket minn maxn lrUpdateRate t
    head = struct.pack("<2i", 793712314, change.get("version", 12))
    head += struct.pack("<12id", width, 5, 5, 1, 5, 1, 2, change.get("model", 2), bucket, minn, maxn, 100, 1e-4)
    head += struct.pack("<3i2q", change.get("size", len(words) + 1), len(words), 1, 1000, change.get("pruned", -1))
    dictionary = b"".join(word.encode() + b"\0" + struct.pack("<qb", 9, 0) for word in words)
    dictionary += b"__label__a\0" + struct.pack("<qb", 9, 1)
    rows = change.get("rows", len(matrix))
    path.write_bytes(
        head + dictionary + struct.pack("<?2q", change.get("quantised", False), rows, width) + matrix.tobytes()
    )
    return matrix


# ---------------------------------------------------------------- formats


@pytest.mark.parametrize("breaks", [True, False])
@pytest.mark.parametrize("name", ["v.bin", "v.bin.gz", "no_suffix"])
def test_binary_word2vec_gives_the_rows_that_were_written(tmp_path: Path, name: str, breaks: bool) -> None:
    rep = read(word2vec(tmp_path / name, breaks=breaks))
    assert rep.numbers.tolist() == sorted(NUMBERS)
    np.testing.assert_array_equal(rep.matrix, table()[[NUMBERS[n] for n in sorted(NUMBERS)]])
    assert rep.token_ids is not None
    assert rep.token_ids.tolist() == [NUMBERS[n] for n in sorted(NUMBERS)]
    assert rep.random_rows is not None
    np.testing.assert_array_equal(rep.random_rows, table()[CONTROL])
    assert rep.provenance["random_token_ids"] == CONTROL
    assert (rep.provenance["dtype"], rep.provenance["words"]) == ("F32", len(WORDS))


def test_all_formats_of_one_table_agree(tmp_path: Path) -> None:
    binary = read(word2vec(tmp_path / "v.bin"))
    rows = [f"{word} {' '.join(map(str, row.tolist()))}" for word, row in zip(WORDS, table(), strict=True)]
    for name, lines in (("glove.txt", rows), ("w2v.vec", [f"{len(rows)} 5", *rows])):
        (tmp_path / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress((tmp_path / name).read_bytes()))
        for path in (tmp_path / name, tmp_path / f"{name}.gz"):
            rep = read(path)
            np.testing.assert_array_equal(rep.matrix.astype(np.float32), binary.matrix)
            assert rep.random_rows is not None
            np.testing.assert_array_equal(rep.random_rows.astype(np.float32), binary.random_rows)
            assert rep.provenance["random_token_ids"] == CONTROL


def test_real_vectors_through_binary_word2vec(shared: Path, tmp_path: Path) -> None:
    held = load_file(shared / "data" / "embeddings" / "glove_6b_50d_top2444.safetensors")
    out = b"%d 50\n" % len(held["numbers"])
    for n, row in zip(held["number_values"], held["numbers"], strict=True):
        out += b"%d " % n + row.astype("<f4").tobytes() + b"\n"
    (tmp_path / "glove.bin").write_bytes(out)
    rep = read(tmp_path / "glove.bin", "0..9999")
    np.testing.assert_array_equal(rep.matrix, held["numbers"])


def test_short_text_values_are_not_taken_for_binary(tmp_path: Path) -> None:
    (tmp_path / "v.vec").write_text("3 4\n7 1 2 3 4\nthe 0 0 0 0\n3 nan 1e5 -2 +.5\n")
    assert "1 of 2 rows hold NaN or infinity (numbers 3)" in message(lambda: read(tmp_path / "v.vec"))
    assert read(tmp_path / "v.vec", "7").matrix.tolist() == [[1, 2, 3, 4]]


def test_words_with_spaces_and_doubled_spaces_are_understood(tmp_path: Path) -> None:
    (tmp_path / "glove.txt").write_text("the 1 2\n. . . 3 4\nat name@domain.com 5 6\n7  8 9\n12\t10\t11\n")
    rep = read(tmp_path / "glove.txt")
    assert rep.numbers.tolist() == [7, 12]
    assert rep.matrix.tolist() == [[8, 9], [10, 11]]
    assert rep.random_rows is not None
    assert rep.random_rows.tolist() == [[1, 2], [3, 4], [5, 6]]


def test_words_that_are_not_finite_are_no_part_of_the_control(tmp_path: Path) -> None:
    (tmp_path / "v.txt").write_text("the inf 1\nof 1 2\n7 3 4\nand nan 0\n")
    rep = read(tmp_path / "v.txt")
    assert rep.random_rows is not None
    assert rep.random_rows.tolist() == [[1, 2]]
    assert rep.provenance["random_token_ids"] == [1]
    assert rep.provenance["notes"] == ["2 random rows with NaN or infinity left out"]


# ---------------------------------------------------------------- fastText


def test_the_hash_is_fnv1a_with_signed_bytes() -> None:
    # Published vectors of 32-bit FNV-1a; beyond ASCII fastText extends the sign of a byte.
    assert [fnv1a(text) for text in (b"", b"a", b"b", b"foobar")] == [0x811C9DC5, 0xE40C292C, 0xE70C2DE5, 0xBF9CF968]
    assert fnv1a(b"\xc3") == (0x811C9DC5 ^ 0xFFFFFFC3) * 16777619 % 2**32


def test_ngrams_are_of_characters_not_bytes() -> None:
    assert ngrams(b"where", 3, 3) == [b"<wh", b"whe", b"her", b"ere", b"re>"]  # Bojanowski et al. 2017, section 3.2
    assert ngrams("\u00e9".encode(), 1, 3) == [
        "<\u00e9".encode(),
        "<\u00e9>".encode(),
        "\u00e9".encode(),
        "\u00e9>".encode(),
    ]
    assert ngrams(b"7", 4, 6) == []


def test_fasttext_vectors_are_means_over_word_and_ngrams(tmp_path: Path) -> None:
    matrix = fasttext(tmp_path / "m.bin")
    rep = read(tmp_path / "m.bin")
    assert rep.numbers.tolist() == sorted(NUMBERS)
    for n, row in zip(sorted(NUMBERS), rep.matrix, strict=True):
        pieces = [len(WORDS) + fnv1a(piece) % 50 for piece in ngrams(str(n).encode(), 2, 3)]
        np.testing.assert_allclose(row, matrix[[NUMBERS[n], *pieces]].astype(float).mean(axis=0), rtol=1e-5)
    assert rep.random_rows is not None
    np.testing.assert_array_equal(rep.random_rows[0], matrix[0])  # </s> is its own row alone
    assert rep.provenance["notes"] == ["vectors are means over n-grams of 2 to 3 characters"]
    assert rep.matrix.dtype == np.float32


def test_fasttext_without_ngrams_is_the_words_own_row(tmp_path: Path) -> None:
    for options in ({"minn": 0, "maxn": 0, "bucket": 0}, {"version": 11, "model": 3}):
        matrix = fasttext(tmp_path / "m.bin", **options)
        rep = read(tmp_path / "m.bin")
        np.testing.assert_array_equal(rep.matrix, matrix[[NUMBERS[n] for n in sorted(NUMBERS)]])


def test_faults_of_fasttext_files(tmp_path: Path) -> None:
    path = tmp_path / "m.bin"

    def fault(**change: Any) -> str:
        fasttext(path, **change)
        return message(lambda: read(path))

    assert "its vectors are quantised; take the .bin file, not the .ftz" in fault(quantised=True)
    assert "its n-grams are pruned" in fault(pruned=5)
    assert "it is of version 99; 11 or 12 are read" in fault(version=99)
    assert "its header claims 2,000,000,000 words" in fault(size=2_000_000_000)
    assert "is cut off" in fault(rows=10**12)
    assert "does not fit its words and n-grams" in fault(rows=3)
    assert "n-grams up to 2,000,000,000" in fault(maxn=2_000_000_000)
    fasttext(path)
    whole = path.read_bytes()
    for length in (3, 40, 120, len(whole) - 1):
        path.write_bytes(whole[:length])
        assert message(lambda: read(path)).startswith(repr(str(path)))
    path.write_bytes(
        whole.replace(b"__label__a\0" + struct.pack("<qb", 9, 1), b"__label__a\0" + struct.pack("<qb", 9, 0))
    )
    assert "words and labels are not as many" in message(lambda: FastTextBinary(path))
    packed = tmp_path / "m.bin.gz"
    packed.write_bytes(gzip.compress(whole))
    assert "type: gunzip" in message(lambda: read(packed))


# ---------------------------------------------------------------- bounds and faults


def test_a_file_of_many_words_is_never_in_memory(tmp_path: Path) -> None:
    words = [*(f"w{chr(97 + n % 26)}{chr(97 + n // 26 % 26)}{n}x" for n in range(20_000)), "7"]
    path = tmp_path / "v.bin"
    rows = np.zeros((1, 500), "<f4")
    with open(path, "wb") as file:
        file.write(b"%d 500\n" % len(words))
        for word in words:
            file.write(word.encode() + b" " + rows.tobytes())
    tracemalloc.start()
    try:
        rep = read(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert rep.numbers.tolist() == [7]
    assert path.stat().st_size > 40_000_000
    assert peak < 12_000_000


@pytest.mark.parametrize("packed", [False, True])
def test_a_line_without_end_is_refused_early(tmp_path: Path, packed: bool) -> None:
    path = tmp_path / ("bomb.gz" if packed else "long.txt")
    content = b"the 1 2\n" + b"7 " * 30_000_000
    path.write_bytes(gzip.compress(content, 1) if packed else content)
    tracemalloc.start()
    try:
        said = message(lambda: read(path))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert f"line 2: it is longer than {MOST_LINE_BYTES:,} bytes" in said
    assert peak < 8_000_000


def test_faults_of_binary_word2vec_files(tmp_path: Path) -> None:
    path = tmp_path / "v.bin"
    whole = word2vec(path).read_bytes()
    for length in (8, 40, len(whole) - 4):
        path.write_bytes(whole[:length])
        said = message(lambda: read(path))
        assert "the file ends there" in said or "it has 0 values" in said or "no word that is a number" in said
    assert "word 12: the file ends there, but its header announces 99 words" in message(
        lambda: read(word2vec(path, claimed=99))
    )
    path.write_bytes(b"3 99999999\nthe " + bytes(range(128, 255)) * 9)
    assert "vectors have 99,999,999 values; 1 to 8,192 are allowed" in message(lambda: read(path))
    path.write_bytes(b"3 2\n" + b"\x80" * 30 + b" \x80\x80\x80\x80\x80\x80\x80\x80" + b"x" * 2_000_000)
    assert "word 2: it is longer than 4,096 bytes" in message(lambda: read(path))
    assert "holds the word 7 twice, in words 1 and 2" in message(lambda: read(word2vec(path, words=["7", "7"])))
    cut = word2vec(tmp_path / "v.bin.gz")
    cut.write_bytes(cut.read_bytes()[:-12])
    assert "is not a whole gzip file" in message(lambda: read(cut))


def test_too_wide_vectors_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "v.txt"
    path.write_text("the " + "1 " * 9000 + "\n")
    assert "it has 9,000 values; at most 8,192 are allowed" in message(lambda: read(path))
    path.write_text("1 0\nthe\n")
    assert "vectors have 0 values" in message(lambda: read(path))
