"""This library measured beside others: `python -m keras_otreg benchmark`."""
