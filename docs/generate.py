"""Write the reference pages that say what plugins and the command line say of themselves.

Type ``python docs/generate.py`` after a card, a docstring, a warning code or an option has changed.
Docstrings are read from the source text, so nothing heavy is imported.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import inspect
import re
import sys
import textwrap
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import typer
from typer.main import get_command

from numgeom.cli import app
from numgeom.errors import WARNING_CODES
from numgeom.plugins import OURS, load_plugins
from numgeom.specs import (
    ConvergenceSpec,
    GeometrySpec,
    NullSpec,
    ProbeSpec,
    ReducerSpec,
    RendererSpec,
    SourceSpec,
    Spec,
)

PAGES = Path(__file__).parent / "pages" / "reference"
MADE = "<!-- Made by docs/generate.py; change the card or the docstring instead. -->"

SHELVES: dict[str, tuple[type[Spec], str, str, str]] = {
    "metrics": (
        ConvergenceSpec,
        "Convergence metrics",
        "convergence",
        "Two representations with aligned rows to one number. Name them with `--metrics`.",
    ),
    "geometry": (
        GeometrySpec,
        "Geometry metrics",
        "geometry",
        "One representation, or one reduction of it, to named numbers. Name them with `numgeom geometry --metrics`.",
    ),
    "nulls": (
        NullSpec,
        "Nulls",
        "nulls",
        "What a score is held against. Name them with `--nulls`; metrics and reducers name their own controls.",
    ),
    "reducers": (
        ReducerSpec,
        "Reducers",
        "reducers",
        "Transformers from `(n, d)` rows to `(n, k)` rows. Name them with `--reducers`.",
    ),
    "probes": (ProbeSpec, "Probes", "probes", "Looks at a tokenizer; no weights are read. Name them with `--probes`."),
    "sources": (
        SourceSpec,
        "Sources",
        "sources",
        "Where rows come from. A model is written `SCHEME:ID`, with `NAME=` before it for a name of your own.",
    ),
    "renderers": (
        RendererSpec,
        "Renderers",
        "renderers",
        "Ways to write a table to a file. Name them with `--render`; they write into `DIR/tables`.",
    ),
}


def pages() -> Iterator[tuple[Path, str]]:
    """Every generated page: its path and its text."""
    report = load_plugins(entry_points=_our_entry_points())
    if report.failures:
        raise SystemExit(f"plugin {report.failures[0].name!r} did not load: {report.failures[0].error}")
    cards = [item.spec for item in report.provided]
    for name, (kind, title, listed, intro) in SHELVES.items():
        chosen = sorted((card for card in cards if isinstance(card, kind)), key=lambda card: card.name)
        yield PAGES / f"{name}.md", _shelf(title, intro, listed, chosen)
    yield PAGES / "warnings.md", _warnings()
    yield PAGES / "cli.md", _command_line()


def _our_entry_points() -> Iterable[Any]:
    """Those of numgeom alone, whatever else is installed."""
    from importlib import metadata

    return [entry for entry in metadata.entry_points(group="numgeom") if entry.value.startswith(OURS)]


def _shelf(title: str, intro: str, listed: str, cards: list[Spec]) -> str:
    lines = [MADE, "", f"# {title}", "", intro, ""]
    lines += [f"The same from the command line: `numgeom list {listed}`.", ""]
    lines += ["| name | what it is |", "| --- | --- |"]
    lines += [f"| [`{card.name}`](#{card.name}) | {_cell(card.summary)} |" for card in cards]
    for card in cards:
        lines += ["", f"## `{card.name}` {{: #{card.name} }}", "", f"{_sentence(card.summary)}", ""]
        lines += ["| | |", "| --- | --- |"]
        lines += [f"| {label} | {_cell(text)} |" for label, text in _facts(card) if text]
        text = _docstring(card)
        if text:
            lines += ["", *_as_markdown(text)]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).rstrip() + "\n"


def _facts(card: Spec) -> Iterator[tuple[str, str]]:
    """What the card declares, in words."""
    yield "reference", card.reference
    if isinstance(card, ConvergenceSpec):
        yield "direction", card.direction.replace("_", " ")
    if isinstance(card, ConvergenceSpec | GeometrySpec):
        low, high = (_bound(value) for value in card.range)
        yield "range", f"{low} to {high}"
        yield "invariant to", ", ".join(sorted(card.invariant_to)) or "nothing declared"
        yield "fewest numbers", str(card.min_numbers)
    if isinstance(card, ConvergenceSpec):
        yield "symmetric", "yes" if card.symmetric else "no: both orders are scored"
        yield "a distance", "yes: it satisfies the axioms of a metric" if card.is_distance else "no"
        yield "equal widths", "needed" if card.equal_dims else ""
        yield "saturates", "yes: near its best on unrelated clouds when n - 1 <= d (W-N-LT-D)" if card.saturates else ""
    if isinstance(card, GeometrySpec):
        yield "consecutive numbers", "needed" if card.needs_contiguous else ""
        yield "judges", "reductions" if card.of_reduction else "rows"
    if isinstance(card, GeometrySpec | ReducerSpec) and not getattr(card, "of_reduction", False):
        yield "controls", ", ".join(f"[`{name}`](nulls.md#{name})" for name in card.nulls)
    if isinstance(card, ReducerSpec):
        yield "draws of each control", f"at most {card.draws}"
        yield "deterministic", "yes" if card.deterministic else "no: depends on the seed"
        yield "supervised", "yes: it saw the numbers (W-LABEL-LEAK)" if card.supervised else "no"
    if isinstance(card, NullSpec):
        yield "keeps", card.keeps
        yield "destroys", card.destroys
        yield "only reorders rows", "yes" if card.permutes_rows else "no"
        yield "a score that beats it", f"is called *{card.claim}*" if card.claim else ""
        yield "a score that does not", f"carries [{card.warning}](warnings.md)" if card.warning else ""
    if isinstance(card, SourceSpec):
        yield "written", ", ".join(f"`{scheme}:ID`" + ("`@REVISION`" * card.revisions) for scheme in card.opens())
        yield "reads", ", ".join(f"`{name}`" for name in card.reads) or "no rows"
        yield "has a tokenizer", "yes" if card.tokenizer else "no"
        yield "cached", "yes" if card.fingerprint else "no"
    if isinstance(card, RendererSpec):
        yield "suffix", f"`{card.suffix}`"
        yield "draws", ", ".join(sorted(f"`{kind}`" for kind in card.tables)) or "every table"
    yield "parameters", ", ".join(f"`{key}={_plain(value)}`" for key, value in card.params.items())
    if isinstance(card, ConvergenceSpec | NullSpec | ProbeSpec | RendererSpec):
        yield "used by default", f"yes, place {card.default}" if card.default else "no"
    yield "extra packages", ", ".join(card.requires)
    yield "target", f"`{card.target}`" if isinstance(card.target, str) else ""
    yield "version", str(card.version)


def _bound(value: float) -> str:
    return {float("inf"): "infinity", float("-inf"): "-infinity"}.get(value, f"{value:.6g}")


def _plain(value: Any) -> str:
    return str(value) if value != "" else '""'


def _docstring(card: Spec) -> str:
    """The docstring of a target of ours; of a class without one, that of the nearest base that has it."""
    if not isinstance(card.target, str) or not card.target.startswith(OURS):
        return ""
    module, _, attribute = card.target.partition(":")
    found = importlib.util.find_spec(module)
    if found is None or found.origin is None:
        raise SystemExit(f"{card.name}: no module {module}")
    tree = ast.parse(Path(found.origin).read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name == attribute and ast.get_docstring(node):
            return ast.get_docstring(node) or ""
    return inspect.getdoc(getattr(importlib.import_module(module), attribute)) or ""


SECTION = re.compile(r"^[A-Z][\w ]*$")


def _as_markdown(docstring: str) -> list[str]:
    """A numpydoc docstring as Markdown, without its examples (they are run as doctests where they stand)."""
    lines: list[str] = []
    for title, body in _sections(docstring):
        if title == "Examples":
            continue
        if title:
            lines += ["", f"**{title}**", ""]
        if title in ("Parameters", "Returns", "Raises", "Attributes", "Warns"):
            lines += _definitions(body)
        else:
            lines += _prose(body)
    return [line.rstrip() for line in textwrap.dedent("\n".join(lines)).strip().splitlines()]


def _sections(docstring: str) -> Iterator[tuple[str, list[str]]]:
    """The parts of a numpydoc docstring: (title, lines), the first without a title."""
    title, body = "", list[str]()
    rows = docstring.splitlines()
    for place, row in enumerate(rows):
        following = rows[place + 1] if place + 1 < len(rows) else ""
        if SECTION.match(row) and following and set(following) == {"-"}:
            yield title, body
            title, body = row, []
        elif not (row and set(row) == {"-"} and body == []):
            body.append(row)
    yield title, body


def _definitions(body: list[str]) -> list[str]:
    """``name : type`` lines with their indented text, as a list."""
    out: list[str] = []
    for row in body:
        if not row.strip():
            continue
        if not row.startswith(" "):
            out.append(f"- `{row.strip()}`")
        elif out:
            out[-1] += (": " if out[-1].startswith("- `") and out[-1].endswith("`") else " ") + _inline(row.strip())
    return out


def _prose(body: list[str]) -> list[str]:
    """Paragraphs; a reStructuredText table or an indented block becomes a code block."""
    out: list[str] = []
    fenced = False
    table = False
    for row in body:
        rule = bool(row) and set(row) <= {"=", " "}
        if rule and not table:
            table = True
            out += ["", "```text"]
            fenced = True
        if fenced and table and not row.strip():
            out += ["```", ""]
            fenced = table = False
        out.append(_bare(row) if fenced else _inline(row))
    return [*out, "```"] if fenced else out


ROLE = re.compile(r":(?:\w+:)?\w+:`~?\.?([^`]+)`")


def _bare(row: str) -> str:
    return ROLE.sub(r"\1", row)


def _inline(row: str) -> str:
    """Roles and double backticks as single ones; single ones stay."""
    return ROLE.sub(r"`\1`", row).replace("``", "`")


def _warnings() -> str:
    rows = [f"| `{code}` | {_cell(text)} |" for code, text in WARNING_CODES.items()]
    return "\n".join(
        [
            MADE,
            "",
            "# Warnings",
            "",
            "A warning is part of its row: the column `warnings` of the long table holds the codes, separated by",
            "`; `, and every table that people read explains its codes below. A warning never removes a value.",
            "",
            "| code | what it means |",
            "| --- | --- |",
            *rows,
            "",
        ]
    )


def _command_line() -> str:
    """Every verb with its arguments and options."""
    group: Any = get_command(app)
    context = typer.Context(group, info_name="numgeom")
    lines = [MADE, "", "# Command line", "", _sentence(str(group.help)), ""]
    lines += ["| verb | what it does |", "| --- | --- |"]
    verbs = {name: group.get_command(context, name) for name in group.list_commands(context)}
    lines += [f"| [`numgeom {name}`](#{name}) | {_cell(_first(verb))} |" for name, verb in verbs.items()]
    lines += ["", "`numgeom --version` prints the version; `--help` goes with every verb.", ""]
    lines += ["Exit codes: 0 all went well; 2 something that you can mend, said in one line on standard error"]
    lines += ["(a wrong name, an unreadable file, a cell that failed); 1 a bug, with its traceback; 130 stopped."]
    for name, verb in verbs.items():
        arguments = [one for one in verb.params if one.param_type_name == "argument"]
        usage = " ".join([f"numgeom {name}", *(_argument(one) for one in arguments), "[OPTIONS]"])
        lines += ["", f"## `{name}` {{: #{name} }}", "", _first(verb), "", "```text", usage, "```", ""]
        lines += ["| | default | |", "| --- | --- | --- |"]
        lines += [f"| `{_argument(one)}` | | {_cell(one.help or '')} |" for one in arguments]
        for one in verb.params:
            if one.param_type_name != "argument" and one.name != "help":
                given = "" if one.default is None or one.default is False or one.default == "" else f"`{one.default}`"
                names = ", ".join(f"`{text}`" for text in one.opts)
                lines.append(f"| {names} | {given} | {_cell(getattr(one, 'help', '') or '')} |")
    lines += ["", "## Environment {: #environment }", "", "| variable | what it does |", "| --- | --- |"]
    lines += [f"| `{name}` | {text} |" for name, text in ENVIRONMENT.items()]
    return "\n".join(lines) + "\n"


ENVIRONMENT = {
    "NUMGEOM_REGISTRY": "your registry.toml, where `--registry` is not given",
    "NUMGEOM_CACHE": "the folder of the cache, instead of the user's cache folder",
    "NUMGEOM_PLUGINS": "comma-separated third-party plugins to load; empty loads none but ours",
    "NUMGEOM_STRICT": "`1` makes any plugin failure fatal",
    "COLUMNS": "width of printed tables where the output is not a terminal",
}


def _argument(argument: Any) -> str:
    name = str(argument.name).upper()
    return f"{name.rstrip('S')}..." if argument.nargs == -1 else name


def _first(verb: Any) -> str:
    return " ".join(str(verb.help).split("\n\n")[0].split())


def _sentence(text: str) -> str:
    shown = text[:1].upper() + text[1:]
    return shown if shown.endswith((".", "!", "?")) else f"{shown}."


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def main() -> int:
    """Write the pages; print those that changed."""
    for path, text in pages():
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            print(f"wrote {path.relative_to(Path(__file__).parent)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
