"""Runs in, summaries and comparisons out. Pure."""
