"""Language models: what is said to them, what comes back, and what it costs. Nothing here is loaded before it is used."""
