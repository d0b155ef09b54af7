"""Measures this library beside others, on the machine at hand."""
