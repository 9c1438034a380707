"""Benchmarks: ratios with both sides measured in one run. `python -m bench` runs them all."""
