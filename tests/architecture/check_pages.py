#!/usr/bin/env python3
"""The pages that say where things are: the table of floors in CONTRIBUTING.md has the folders of src on their floors, its walk names files that are there, at most 15 of them, and the table in
tests/README.md has the folders of tests.

    check_pages.py [ROOT]        check the tree (default: AVI_SOURCE_DIR, else the tree this script is in)
    check_pages.py --self-test   change the pages in memory, one at a time, and expect each change to be found
"""
import os
import pathlib
import re
import sys

from check_floors import FLOOR

MOST = 15  # files from the task to the optimizer


def rows(text, heading):
    """First two cells of the rows of the table below a header row that begins with `heading`."""
    lines = text.split(heading, 1)[1].splitlines()[2:]
    table = []
    for line in lines:
        if not line.startswith("|"):
            break
        table.append([cell.strip() for cell in line.split("|")[1:3]])
    return table


def compare(what, named, there):
    return [f"{what}: {name} is missing" for name in sorted(there - named)] + [f"{what}: there is no {name}" for name in sorted(named - there)]


def faults(root, contributing, tests):
    found = []
    floors = {name: int(number) for number, cell in rows(contributing, "| floor | folder |") for name in re.findall(r"`src/([a-z0-9_]+)`", cell)}
    folders = {path.name for path in (root / "src").iterdir() if path.is_dir()}
    found += compare("CONTRIBUTING.md, floors", set(floors), folders)
    found += [f"CONTRIBUTING.md, floors: src/{name} is on floor {FLOOR[name]}" for name in sorted(floors) if FLOOR.get(name, floors[name]) != floors[name]]
    walk = re.findall(r"^\d+\. `(src/\S+?)`", contributing, re.M)
    walk = [name for name in walk if name.endswith(".c")]
    if not walk or len(walk) > MOST:
        found.append(f"CONTRIBUTING.md, the walk of a batch: {len(walk)} files; use at most {MOST}")
    found += [f"CONTRIBUTING.md: there is no {name}" for name in re.findall(r"`(src/[\w/]+\.[ch])`", contributing) if not (root / name).is_file()]
    areas = {name for cell, _ in rows(tests, "| area |") for name in re.findall(r"`(\w+)`", cell)}
    found += compare("tests/README.md, areas", areas, {path.name for path in (root / "tests").iterdir() if path.is_dir() and any(path.iterdir()) and path.name != "__pycache__"})
    return found


def self_test(root, contributing, tests):
    changes = [
        (contributing.replace("`src/gap`, ", "", 1), tests, "gap is missing"),
        (contributing.replace("`src/train/step.c`", "`src/train/stride.c`", 1), tests, "there is no src/train/stride.c"),
        (contributing.replace("| 8 | `src/train`", "| 7 | `src/train`", 1), tests, "src/train is on floor 8"),
        (contributing + "16. `src/main.c`: x\n", tests, "16 files"),
        (contributing, tests.replace("| `gap` |", "| `gaps` |", 1), "gap is missing"),
        (contributing, tests.replace("| `gap` |", "| `gaps` |", 1), "there is no gaps"),
    ]
    return [f"not found: {expected}" for one, two, expected in changes if not any(expected in fault for fault in faults(root, one, two))]


def main():
    arguments = [a for a in sys.argv[1:] if a != "--self-test"]
    root = pathlib.Path(arguments[0] if arguments else os.environ.get("AVI_SOURCE_DIR", pathlib.Path(__file__).resolve().parents[2]))
    pages = [(root / name).read_text() for name in ("CONTRIBUTING.md", "tests/README.md")]
    found = (self_test if "--self-test" in sys.argv else faults)(root, *pages)
    print("\n".join(found) if found else "the pages name what is there")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
