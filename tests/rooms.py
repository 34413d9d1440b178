"""How many lines of code each room of helpers/ has, and how many it may have.

python tests/rooms.py                   prints the table; exit status 1 if a room has
                                        grown past its recorded figure
python tests/rooms.py --record REASON   records today's figures, and why they changed

Blank lines, docstrings and comments do not count; HTML, CSS and JavaScript do.
"""

import argparse
import ast
import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RECORDED = ROOT / "tests" / "baselines" / "rooms.json"
FLAT = "flat modules"  # what lies in helpers/ itself, the runner among it
LONGEST = 170  # lines of a flat module: ten minutes' reading
BUDGETS = {FLAT: 1250, "engine": 450, "plots": 450, "explorer": 1200, "checks": 1000}
CODE = (".py", ".html", ".css", ".js")


def modules(room: str) -> list[Path]:
    """The files of a room that hold code."""
    helpers = ROOT / "helpers"
    found = helpers.glob("*") if room == FLAT else (helpers / room).rglob("*")
    return sorted(path for path in found if path.suffix in CODE)


def lines_of_code(path: Path) -> int:
    text = path.read_text(encoding="utf-8")
    is_python = path.suffix == ".py"
    passed_over = docstring_lines(text) if is_python else set()
    count = 0
    for number, line in enumerate(text.splitlines(), start=1):
        mark = {".py": "#", ".js": "//"}.get(path.suffix)
        comment = mark and line.lstrip().startswith(mark)
        count += bool(line.strip()) and not comment and number not in passed_over
    return count


def docstring_lines(source: str) -> set[int]:
    """The numbers of the lines on which docstrings stand."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        documented = isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        if documented and ast.get_docstring(node) is not None:
            docstring = node.body[0]
            found |= set(range(docstring.lineno, docstring.end_lineno + 1))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--record", metavar="REASON")
    reason = parser.parse_args().record
    recorded = json.loads(RECORDED.read_text()) if RECORDED.exists() else {}
    now = {room: sum(map(lines_of_code, modules(room))) for room in BUDGETS}
    if reason:
        for room, lines in now.items():
            if lines != recorded.get(room, {}).get("lines"):
                recorded[room] = {"lines": lines, "why": reason}
        RECORDED.write_text(json.dumps(recorded, indent=1) + "\n", encoding="utf-8")

    wrong = []
    print(f"{'room':<14}{'lines':>7}{'budget':>8}{'recorded':>10}")
    for room, lines in now.items():
        before = recorded.get(room, {}).get("lines", 0)
        print(f"{room:<14}{lines:>7,}{BUDGETS[room]:>8,}{before:>10,}")
        if lines > before:
            wrong.append(f"{room}: {lines:,} lines, {before:,} when last recorded")
    for path in modules(FLAT):
        if lines_of_code(path) > LONGEST:
            wrong.append(f"{path.name}: more than {LONGEST} lines")
    sys.exit("\n".join(wrong) or None)


if __name__ == "__main__":
    main()
