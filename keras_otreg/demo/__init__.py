"""The demos: transfer to digits, from another scanner or from letters."""
