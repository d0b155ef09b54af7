"""Experiments with few labels: the parts that demo and benchmarks share."""
