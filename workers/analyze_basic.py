"""Statistics of a run: JSON on stdin, one JSON document on stdout; --html FILE writes a report beside it."""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.realpath(__file__))))

from src.worker.evaluation.door import run

if __name__ == "__main__":
    run("analyze_basic")
