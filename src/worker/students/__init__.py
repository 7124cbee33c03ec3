"""Tier 2's students: small linear models of sentiment and intent that learn from verdicts of tier 3 and from labels.

Pure: no I/O, no clock. NumPy and scikit-learn are loaded by the first function that needs them.
"""
