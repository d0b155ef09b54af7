"""Comparison of methods, and records of measurements."""
