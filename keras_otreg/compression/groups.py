"""Sets of neurons that are kept or removed together."""

import dataclasses

Layout = tuple[int, ...]


@dataclasses.dataclass
class Group:
    """Neurons that are kept or removed together.

    Attributes:
        size: How many there are.
        owners: Paths of the layers that compute them.
        why: The reason why they all have to stay; empty if they need not.
    """

    size: int
    owners: list[str]
    why: str = ""


class Groups:
    """The groups of a network, merged as layers are found to tie them."""

    def __init__(self):
        self._groups: list[Group] = []
        self._parents: list[int] = []

    def add(self, size: int, owners: list[str], why: str = "") -> int:
        """Add a group and return its number."""
        self._groups.append(Group(size, owners, why))
        self._parents.append(len(self._parents))
        return len(self._parents) - 1

    def root(self, number: int) -> int:
        """The number of the group that a group was merged into."""
        while self._parents[number] != number:
            number = self._parents[number]
        return number

    def __getitem__(self, number: int) -> Group:
        return self._groups[self.root(number)]

    def roots(self) -> list[int]:
        """The numbers of all groups that are left."""
        return [k for k, parent in enumerate(self._parents) if k == parent]

    def merge(self, first: int, second: int) -> None:
        """Merge two groups of one size."""
        first, second = self.root(first), self.root(second)
        if first == second:
            return
        kept, other = self._groups[first], self._groups[second]
        kept.owners = list(dict.fromkeys(kept.owners + other.owners))
        kept.why = kept.why or other.why
        self._parents[second] = first

    def keep(self, layout: Layout, why: str) -> None:
        """Keep the width of all groups of a layout."""
        for number in layout:
            self[number].why = self[number].why or why

    def width(self, layout: Layout) -> int:
        """Length of the axis that a layout describes."""
        return sum(self[number].size for number in layout)

    def tie(self, layouts: list[Layout], why: str) -> Layout:
        """Merge the layouts of tensors that are combined channel by channel.

        Args:
            layouts: Of the tensors; those of width 1 are broadcast.
            why: The reason to give if they cannot be narrowed together.

        Returns:
            The layout of the result.
        """
        wide = [x for x in layouts if self.width(x) != 1] or layouts[:1]
        sizes = {tuple(self[k].size for k in layout) for layout in wide}
        if len(sizes) > 1:
            for layout in layouts:
                self.keep(layout, why)
        else:
            for layout in wide[1:]:
                for pair in zip(wide[0], layout, strict=True):
                    self.merge(*pair)
        return wide[0]
