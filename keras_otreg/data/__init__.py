"""Data sets: few labels, pairs, offline sets."""
