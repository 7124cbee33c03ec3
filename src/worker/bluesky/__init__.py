"""Bluesky: posts as mentions, the XRPC calls behind the search, sign-in, and the events of the live stream."""
