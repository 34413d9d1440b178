"""What a terminal says when a program stops: three lines, and the rest in a file."""

from __future__ import annotations

import os
import re
import signal
import sys
import traceback
from functools import partial
from pathlib import Path

from helpers.engine.files import write_text

HELPERS = Path(__file__).parents[1]
REMEDY = "Once mended, the same command goes on; fine-tuned models are kept."
RESUME = "The same command goes on from the last checkpoint."
COLOUR = re.compile(r"\x1b\[[\d;]*m")


def guard(report: Path) -> None:
    """From here on, whatever stops this program is said in at most three lines.

    The whole traceback goes to the file `report`. The exit status is 130 after Ctrl-C,
    143 after SIGTERM, 1 after any other error.
    """
    signal.signal(signal.SIGTERM, _terminate)
    sys.excepthook = partial(_say, report)


def _terminate(*_) -> None:
    raise KeyboardInterrupt("SIGTERM")  # so that everything is left as after Ctrl-C


def _say(report: Path, kind: type, error: BaseException, trace) -> None:
    """Say what stopped the program, and what to do; then end it."""
    for again in (signal.SIGINT, signal.SIGTERM):
        signal.signal(again, signal.SIG_IGN)  # what is left to do takes no time
    ours = _is_ours(trace)
    status, more = 1, not ours or error.__cause__  # is there more to know?
    lines = [f"{kind.__name__}: {error}".splitlines()[0], REMEDY]
    if kind is KeyboardInterrupt:
        status, sign = (143, "SIGTERM") if error.args else (130, "Ctrl-C")
        lines, more = [f"Stopped by {sign}.", RESUME], True
    elif ours:
        lines = str(error).splitlines()[:2]
    if more:
        text = "".join(traceback.format_exception(error))
        try:
            write_text(report, COLOUR.sub("", text))
            lines.append(f"The whole traceback: {report.parent.name}/{report.name}")
        except OSError as reason:  # a full disk, or one that may only be read
            lines.append(str(reason))
    if os.environ.get("RANK", "0") == "0":  # of several processes, one speaks
        print(
            *[COLOUR.sub("", line)[:300] for line in lines], sep="\n", file=sys.stderr
        )
    sys.exit(status)


def _is_ours(trace) -> bool:
    """Whether the helpers raised an error themselves: then its words say enough."""
    return any(
        Path(last.filename).is_relative_to(HELPERS) and last.line.startswith("raise ")
        for last in traceback.extract_tb(trace)[-1:]
    )
