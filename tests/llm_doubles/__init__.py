"""Servers that speak the providers' wire formats: one of ours with odd answers, and others that we did not write."""
