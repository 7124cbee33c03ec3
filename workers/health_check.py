"""Is this Python fit to run the other workers? One JSON document on stdout."""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.realpath(__file__))))

from src.worker.evaluation.door import run

if __name__ == "__main__":
    run("health_check")
