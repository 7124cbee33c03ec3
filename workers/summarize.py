"""Read the decision of a transcript, or of a batch of them: JSON on stdin, one JSON document on stdout."""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.realpath(__file__))))

from src.worker.evaluation.door import run

if __name__ == "__main__":
    run("summarize")
