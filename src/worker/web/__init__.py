"""Everything the worker reads from the web: guarded, polite, bounded."""
