"""Methods of fine-tuning: their names in commands, and their titles."""

TITLES = {
    "transport": "transport",
    "alignment": "transport alignment",
    "l2-sp": "L2-SP",
    "neuron-transport": "transport of weights",
    "cka": "CKA",
    "hint": "hints",
    "mmd": "MMD",
    "coral": "CORAL",
    "attention": "attention transfer",
    "bss": "BSS",
}
# Those that pull weights to their start, and know no layers.
OF_WEIGHTS = ("l2-sp", "neuron-transport")
