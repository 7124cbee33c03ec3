"""Language models: what is said to them, what comes back, what it costs. Nothing is loaded before it is used."""
