"""What a terminal says when a program stops: three lines, and the rest in a file."""

import os
import signal
import sys
import traceback
from pathlib import Path

from helpers.engine.files import write_text

AGAIN = "The same command goes on from the last checkpoint; whole models are kept."


def guard(report: Path) -> None:
    """From here on, whatever stops this program is said in three lines.

    What stopped it, what to do, and the file `report`, which holds the traceback. The
    exit status is 130 after Ctrl-C or SIGTERM, 1 after any other error.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as after Ctrl-C
    sys.excepthook = lambda *caught: _say(report, *caught)


def _say(report: Path, kind: type, error: BaseException, _) -> None:
    """Say what stopped the program, and what to do; then end it."""
    for again in (signal.SIGINT, signal.SIGTERM):
        signal.signal(again, signal.SIG_IGN)  # what is left to do takes no time
    by_signal = kind is KeyboardInterrupt
    what = "Stopped by a signal." if by_signal else f"{kind.__name__}: {error}"
    try:
        write_text(report, "".join(traceback.format_exception(error)))
        where = f"The whole traceback: {report.parent.name}/{report.name}"
    except OSError as reason:  # a full disk, or one that may only be read
        where = str(reason)
    if os.environ.get("RANK", "0") == "0":  # of several processes, one speaks
        print(what.splitlines()[0][:300], AGAIN, where, sep="\n", file=sys.stderr)
    sys.exit(130 if by_signal else 1)
