"""The stages a chunk of mentions flows through. Each is a function from plain data to plain data."""
