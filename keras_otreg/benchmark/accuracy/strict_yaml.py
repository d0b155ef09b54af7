"""Reads YAML in which no key is there twice."""

from typing import Any

from keras_otreg import checks


def load(text: str) -> Any:
    """Reads plain values from YAML.

    Args:
        text: Of which a repeated key is an error, not the last one's.

    Returns:
        Dictionaries, lists, texts, numbers.

    Raises:
        ImportError: If PyYAML is not installed.
        ValueError: If it is not YAML, or a key is repeated, in one line.
    """
    yaml = checks.installed("yaml", "benchmark", "Files of tasks")

    class Loader(yaml.SafeLoader):
        """Looks at each mapping once, before others are merged into it."""

        def compose_mapping_node(self, anchor):
            node = super().compose_mapping_node(anchor)
            line = node.start_mark.line + 1
            keys = [str(key.value) for key, _ in node.value]
            remedy = f"Leave one out of what begins in line {line}."
            checks.unique(keys, "keys", remedy)
            return node

    try:
        # A `SafeLoader`: it makes no objects of classes that a file names.
        return yaml.load(text, Loader)
    except yaml.YAMLError as error:
        raise checks.entries.not_yaml(error) from error
