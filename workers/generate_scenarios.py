"""All scenarios of a definition's dimensions: JSON on stdin, one JSON document on stdout."""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.realpath(__file__))))

from src.worker.evaluation.door import run

if __name__ == "__main__":
    run("generate_scenarios")
