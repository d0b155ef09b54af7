"""Measure how similar the layers of two networks are.

Compares the layers of two networks on pictures, by the transport between their
neurons, by CKA, and by the share of permuted neurons; suggests layers for a
penalty. With --out, also as heat maps and a table. Needs pip install
"keras-otreg[pictures]".
"""

from keras_otreg.commands import options


def add(parser):
    text = "a .keras file, of a penalty the "
    options.add(parser, "first", "A.keras", text + "teacher")
    options.add(parser, "second", "B.keras", text + "student")
    options.add(parser, "data", "DATA", options.PICTURES)
    text = "folder for the heat maps and the table"
    options.add(parser, "--out", "DIR", text)
    number = options.whole_number(2, 10**5)
    text = "pictures to compare the layers on, at most"
    options.add(parser, "--pictures", "N", text, number, 128)
    text = "layers of each network, at most"
    options.add(parser, "--layers", "N", text, number, 8)
    options.add_settings(parser, "compare", "image_size")
    options.add_common(parser, "the draw of pictures")


def run(given):
    options.refuse_silence(given)
    from keras_otreg.workflows.comparison import compare

    compare(**options.arguments(given))
