"""The documentation: every snippet runs, every printed number is what comes out, every name is explained."""

from __future__ import annotations

import contextlib
import doctest
import hashlib
import importlib
import importlib.util
import io
import re
import shlex
import sys
import tomllib
import types
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from numgeom import hookspecs
from numgeom.errors import WARNING_CODES
from numgeom.numbers import runs
from numgeom.plugins import HOOKS
from numgeom.results import COLUMNS

DOCS = Path(__file__).resolve().parents[1] / "docs"
PAGES = DOCS / "pages"
WRITTEN = sorted(path for path in PAGES.rglob("*.md") if "Made by docs/generate.py" not in path.read_text())
FENCE = re.compile(r"^(?:<!-- (?P<marks>[^\n]*?) -->\n)?```(?P<language>\w*)\n(?P<text>.*?)^```$", re.M | re.S)
TABLE = re.compile(r"^<!-- table: (?P<path>\S+) -->\n\n(?P<text>(?:\|.*\n)+)", re.M)
# The block form: ruff formats Python in Markdown, and would read the form of one line as an expression.
SNIPPET = re.compile(r"^--8<--\n(.+)\n--8<--\n", re.M)
DEMO_MODELS = ("llama_a", "llama_b", "neox_a", "llama_bpe", "llama_untrained")


@dataclass(frozen=True)
class Block:
    """One fenced block with the marks of the comment above it."""

    language: str
    text: str
    marks: dict[str, str]


def blocks(page: Path) -> Iterator[Block]:
    for match in FENCE.finditer(page.read_text(encoding="utf-8")):
        marks = [mark.partition(": ") for mark in (match["marks"] or "").split("; ") if mark]
        text = SNIPPET.sub(lambda m: (DOCS / m[1]).read_text(), match["text"])
        yield Block(match["language"], text, {name: value for name, _, value in marks})


def named(page: Path) -> str:
    return str(page.relative_to(PAGES))


# --- what pages say is what comes out ---------------------------------------------------------------------------


class Reader:
    """Somebody who types everything that a page shows, in one folder."""

    def __init__(self, folder: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.request, self.monkeypatch = folder, request, monkeypatch
        self.said = ""
        # Classes and functions of snippets that travel to workers are looked up by module name.
        self.module = types.ModuleType("numgeom_docs_snippet")
        monkeypatch.setitem(sys.modules, self.module.__name__, self.module)
        monkeypatch.chdir(folder)
        monkeypatch.setenv("COLUMNS", "220")
        (folder / "examples").symlink_to(DOCS / "examples")

    def need(self, what: str) -> None:
        prepare = {
            "": lambda: None,
            "shared": self._shared,
            "demo": self._demo,
            "hub": self._hub,
            "package": self._package,
        }
        prepare[what]()

    def read(self, block: Block) -> None:
        self.need(block.marks.get("needs", ""))
        if "file" in block.marks:
            path = self.folder / block.marks["file"]
            path.parent.mkdir(exist_ok=True)
            path.write_text(block.text)
        elif "says" in block.marks:
            self.compare(block.text)
        elif block.language == "python" and "example" not in block.marks:
            with contextlib.redirect_stdout(io.StringIO()) as out:
                exec(compile(block.text, "snippet", "exec"), self.module.__dict__)
            self.said = out.getvalue()
        elif block.language == "sh" and "install" not in block.marks:
            self.said = ""
            for line in re.sub(r"\\\n\s*", " ", block.text).strip().splitlines():
                self.type(line, fails="fails" in block.marks)

    def type(self, line: str, *, fails: bool) -> None:
        """One command, as a shell would split it, run in this process."""
        words = shlex.split(line)
        if words[0] == "export":
            for word in words[1:]:
                self.monkeypatch.setenv(*word.split("="))
            return
        with self.monkeypatch.context() as patch:
            while "=" in words[0]:
                patch.setenv(*words.pop(0).split("="))
            assert words[0] == "numgeom", line
            if words[1] in ("compare", "geometry", "run"):
                words += ["--jobs", "1"]
            patch.setattr(sys, "argv", words)
            out, said = io.StringIO(), io.StringIO()
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(said), warnings.catch_warnings():
                code = _run_main()
            self.said += out.getvalue() + said.getvalue()
        assert code == (2 if fails else 0), f"{line}\n{said.getvalue()}"

    def compare(self, text: str) -> None:
        for line in text.strip().splitlines():
            wanted = line.split()
            assert any(holds(printed.split(), wanted) for printed in self.said.splitlines()), (
                f"nothing printed holds: {line}\n{self.said}"
            )

    def _shared(self) -> None:
        link = self.folder / "data"
        if not link.exists():
            link.symlink_to(self.request.getfixturevalue("shared") / "data")

    def _demo(self) -> None:
        from numgeom_plugins.sources import demo

        home = Path(str(demo.__file__)).parent
        missing = [name for name in DEMO_MODELS if not (home / name / "model.safetensors").is_file()]
        if missing:
            pytest.skip(f"demo models not trained yet: {', '.join(missing)}")
        # The suite of the tutorial on fewer numbers and draws: what is shown is typed, and it takes seconds.
        registry = self.folder / "registry.toml"
        if not registry.exists():
            bundled = tomllib.loads((DOCS.parent / "registry.toml").read_text())["suites"]["quickstart"]
            small = {**bundled, "numbers": "0..99", "draws": 19, "render": ["markdown"]}
            lines = [f"{key} = {value!r}" for key, value in small.items()]
            registry.write_text("schema = 1\n[suites.quickstart]\n" + "\n".join(lines) + "\n")

    def _hub(self) -> None:
        """A hub cache that holds one repository, as ``hf download`` leaves it."""
        shared = self.request.getfixturevalue("shared")
        cache = self.folder / "hub"
        commit = "0" * 40
        repository = cache / "models--sentence-transformers--all-MiniLM-L6-v2"
        if not repository.exists():
            (repository / "snapshots").mkdir(parents=True)
            (repository / "refs").mkdir()
            (repository / "refs" / "main").write_text(commit)
            (repository / "snapshots" / commit).symlink_to(shared / "data" / "checkpoints" / "all-MiniLM-L6-v2")
        constants = importlib.import_module("huggingface_hub.constants")
        self.monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
        self.monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)

    def _package(self) -> None:
        """The example package as an installer leaves it: on the path, with its metadata."""
        source = DOCS / "examples" / "package"
        project = tomllib.loads((source / "pyproject.toml").read_text())["project"]
        info = self.folder / "site" / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
        if not info.exists():
            info.mkdir(parents=True)
            (info / "METADATA").write_text(f"Name: {project['name']}\nVersion: {project['version']}\n")
            entries = project["entry-points"]["numgeom"]
            text = "\n".join(f"{name} = {value}" for name, value in entries.items())
            (info / "entry_points.txt").write_text(f"[numgeom]\n{text}\n")
            self.monkeypatch.syspath_prepend(str(source))
            self.monkeypatch.syspath_prepend(str(info.parent))


def _run_main() -> int:
    from numgeom.cli import main

    try:
        main()
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else 0 if leaving.code is None else 1
    return 0


def holds(printed: list[str], wanted: list[str]) -> bool:
    """Whether the words ``wanted`` are among ``printed`` in their order; numbers may differ in the third digit."""
    words = iter(printed)
    return all(any(same(word, want) for word in words) for want in wanted)


def same(found: str, wanted: str) -> bool:
    if found.strip("[],") == wanted.strip("[],"):
        return True
    try:
        a, b = float(found.strip("[],")), float(wanted.strip("[],"))
    except ValueError:
        return False
    return abs(a - b) <= 0.01 * abs(b) + 0.002


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("page", WRITTEN, ids=named)
def test_everything_on_a_page_runs_and_gives_what_it_says(
    page: Path, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    reader = Reader(folder, request, monkeypatch)
    for block in blocks(page):
        reader.read(block)
    for match in TABLE.finditer(page.read_text(encoding="utf-8")):
        made = [line for line in (folder / match["path"]).read_text().splitlines() if line.startswith("|")]
        shown = match["text"].strip().splitlines()
        assert len(made) == len(shown), match["path"]
        for found, wanted in zip(made, shown, strict=True):
            cells = [[cell.strip() for cell in row.split("|")] for row in (found, wanted)]
            assert len(cells[0]) == len(cells[1])
            assert all(same(a, b) for a, b in zip(*cells, strict=True)), f"{match['path']}\n{found}\n{wanted}"


@pytest.mark.parametrize("page", WRITTEN, ids=named)
def test_every_block_of_a_page_is_run_or_is_an_install_line(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert text.count("```") == 2 * len(FENCE.findall(text)), "a fence that the tests do not see"
    for block in blocks(page):
        assert set(block.marks) <= {"needs", "file", "says", "install", "fails", "example", "sketch"}
        run = block.language in ("sh", "python") or {"file", "says", "sketch", "example"} & set(block.marks)
        assert run, block.text
        if "install" in block.marks:
            assert all(line.startswith(("pip install ", "hf download ")) for line in block.text.strip().splitlines())
        if "example" in block.marks:
            assert block.text == (DOCS / block.marks["example"]).read_text()


def test_the_reader_notices_a_wrong_number() -> None:
    printed = ["a", "b", "400", "0.9964", "beyond", "chance", "only"]
    assert holds(printed, ["a", "b", "0.9964", "beyond"])
    assert not holds(printed, ["a", "b", "0.95"])
    assert not holds(printed, ["b", "a"])


# --- the drop-in example ----------------------------------------------------------------------------------------


def test_the_drop_in_example_has_at_most_15_lines() -> None:
    (example,) = (DOCS / "examples" / "plugins").glob("*.py")
    assert len(example.read_text().splitlines()) <= 15


def test_the_metric_and_the_reducer_of_the_example_get_rows_with_nulls(
    tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    from numgeom.results import Study

    folder = tmp_path / "work"
    folder.mkdir()
    Reader(folder, request, monkeypatch).type(
        "numgeom compare a=synthetic:line b=synthetic:walk --numbers 0..49 --metrics pc1_match --draws 19 "
        "--reducers none,two_groups --plugins-dir examples/plugins --render csv --out made",
        fails=False,
    )
    frame = Study.load(folder / "made").frame
    assert set(frame["status"]) == {"ok"}
    assert frame["null_mean"].notna().all()
    scores = frame[frame["kind"] == "convergence"]
    assert set(zip(scores["reducer"], scores["null"], strict=True)) == {
        (space, null) for space in ("none", "two_groups") for null in ("row_permutation", "order_modes")
    }
    judged = frame[frame["kind"] == "reduction"]
    assert set(judged["reducer"]) == {"two_groups"}
    assert set(judged["null"]) == {"random_tokens", "row_permutation"}


# --- completeness -----------------------------------------------------------------------------------------------


def generator() -> Any:
    spec = importlib.util.spec_from_file_location("numgeom_docs_generate", DOCS / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_generated_pages_are_current() -> None:
    stale = [path.name for path, text in generator().pages() if not path.is_file() or path.read_text() != text]
    assert not stale, f"{', '.join(stale)}: type python docs/generate.py"


def test_generated_pages_name_every_card_and_its_summary() -> None:
    from numgeom.registry import open_catalog

    catalog = open_catalog()
    shelves: dict[str, Any] = {
        "metrics": catalog.convergence,
        "geometry": catalog.geometry,
        "nulls": catalog.nulls,
        "reducers": catalog.reducers,
        "probes": catalog.probes,
        "sources": catalog.sources,
        "renderers": catalog.renderers,
    }
    for page, shelf in shelves.items():
        text = (PAGES / "reference" / f"{page}.md").read_text()
        for item in shelf:
            assert f"## `{item.spec.name}`" in text
            assert " ".join(item.spec.summary.split()).replace("|", "\\|") in text


def test_every_hook_is_documented_with_its_card() -> None:
    text = (PAGES / "plugins" / "hooks.md").read_text()
    hooks = [name for name, item in vars(hookspecs).items() if name.startswith("numgeom_") and callable(item)]
    assert set(hooks) == set(HOOKS)
    for hook in hooks:
        assert f"| `{hook}` | `{HOOKS[hook].__name__}` |" in text


def test_every_column_is_documented_in_its_order() -> None:
    text = (PAGES / "reference" / "results.md").read_text().partition("## The other files")[0]
    assert re.findall(r"^\| `(\w+)` \|", text, re.M) == COLUMNS


def test_every_warning_code_is_documented() -> None:
    text = (PAGES / "reference" / "warnings.md").read_text()
    assert re.findall(r"^\| `([\w-]+)` \|", text, re.M) == list(WARNING_CODES)


def test_every_verb_and_option_is_documented() -> None:
    from typer.main import get_command

    from numgeom.cli import app

    group: Any = get_command(app)
    text = (PAGES / "reference" / "cli.md").read_text()
    for name, verb in group.commands.items():
        section = text.partition(f"\n## `{name}` ")[2].partition("\n## ")[0]
        assert section, f"numgeom {name}"
        for parameter in verb.params:
            for option in parameter.opts if parameter.param_type_name == "option" else ():
                assert option == "--help" or f"`{option}`" in section, f"numgeom {name} {option}"


def test_every_page_is_in_the_navigation() -> None:
    navigation = (DOCS / "mkdocs.yml").read_text().partition("\nnav:")[2]
    assert set(re.findall(r"[\w/-]+\.md", navigation)) == {named(path) for path in PAGES.rglob("*.md")}


@pytest.mark.parametrize("name", ["api", "numbers", "representation", "results", "specs"])
def test_the_examples_in_the_python_reference_run(name: str) -> None:
    result = doctest.testmod(importlib.import_module(f"numgeom.{name}"))
    assert result.failed == 0


def test_the_number_set_label_of_the_documentation_is_a_real_one(shared: Path) -> None:
    from safetensors.numpy import load_file

    from numgeom import NumberSet

    values = load_file(shared / "data" / "embeddings" / "all_minilm_l6_v2.safetensors")["number_values"]
    have = values[values < 1000].tolist()
    label = NumberSet.parse("0..999").label(have)
    assert runs(have)[0] == (0, 341)
    assert f"`{label}`" in (PAGES / "reference" / "results.md").read_text()
    assert hashlib.blake2b(repr(tuple(have)).encode(), digest_size=3).hexdigest() in label


def test_no_page_reaches_out() -> None:
    config = (DOCS / "mkdocs.yml").read_text()
    assert "font: false" in config
    for key in ("repo_url", "extra_javascript", "extra_css", "http"):
        assert key not in config
    for page in PAGES.rglob("*.md"):
        for loaded in ("<script", "<iframe", "<img", "<link", "](http"):
            assert loaded not in page.read_text(), f"{named(page)}: {loaded}"
