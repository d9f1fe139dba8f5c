"""A defect to put in on purpose."""
import dataclasses


@dataclasses.dataclass(frozen=True)
class Defect:
    name: str   # what goes wrong
    file: str
    old: str    # occurs once in the file
    new: str
    tests: str  # regular expression of ctest
