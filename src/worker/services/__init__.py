"""Business services: what the handlers and the REST routes share."""
