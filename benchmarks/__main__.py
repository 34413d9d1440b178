"""Every benchmark, one after the other, each in a process of its own.

make bench, or python -m benchmarks [NAME ...]
"""

import subprocess
import sys

NAMES = ("pictures", "scoring", "training", "sampling")

for name in sys.argv[1:] or NAMES:
    subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=True)
