"""The evaluation trade: probe a model through a conversation, read its decision, compute the statistics of a run."""
