"""`python -m tests.proof`: what the project promises, proved again row by row, into docs/proof.md."""
