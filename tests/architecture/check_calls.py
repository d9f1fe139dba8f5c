#!/usr/bin/env python3
"""Checks that calls go down: no object file of a lower floor needs a symbol of a higher one, and no two files need each other.

    check_calls.py BUILD          look at the objects of the library in the build folder (floors: check_floors.py)
    check_calls.py --self-test    compile small files with a call upwards and a pair that need each other, expect both to be found
Exit status 0: sound; 1: violations, one per line; 77: nm is not there, or the objects have no symbols to read (link-time optimisation)."""
import collections
import pathlib
import shutil
import subprocess
import sys
import tempfile

from check_floors import FLOOR

SOURCE = pathlib.Path(__file__).resolve().parents[2] / "src"
# Both precisions of a kernel are one file.
OBJECTS = ("avi.dir", "avi_kernels_single.dir", "avi_kernels_double.dir")


def symbols(paths):
    """{object: (defined, needed)}, the global symbols of each; one nm for all, since hundreds of processes take a minute on a busy machine."""
    found = {str(path): (set(), set()) for path in paths}
    if not found:
        return found
    for line in subprocess.run(["nm", "-g", "-A", *found], capture_output=True, text=True, check=True).stdout.splitlines():
        path, rest = line.split(":", 1)
        kind, name = rest.split()[-2:]
        found[path][1 if kind in "Uw" else 0].add(name)
    return found


def objects(build):
    """{file under src/: [objects]}"""
    found = collections.defaultdict(list)
    for name in OBJECTS:
        for path in (pathlib.Path(build) / "CMakeFiles" / name).rglob("*.o"):
            parts = path.parts
            name = "/".join(parts[len(parts) - 1 - parts[::-1].index("src") + 1:])[:-2]
            if (SOURCE / name).exists():  # a build folder keeps the objects of files that are gone
                found[name].append(path)
    return found


def uses_of(files):
    """{file: {other file: a symbol that it needs of it}}"""
    needs, owner, of = {}, {}, symbols([path for paths in files.values() for path in paths])
    for name, paths in files.items():
        needs[name] = set()
        for path in paths:
            defined, needed = of[str(path)]
            needs[name] |= needed
            owner.update({symbol: name for symbol in defined})
    return {name: {owner[s]: s for s in sorted(wanted) if s in owner and owner[s] != name} for name, wanted in needs.items()}


def check(files):
    uses, wrong = uses_of(files), []
    for name, others in sorted(uses.items()):
        for other, symbol in sorted(others.items()):
            low, high = FLOOR.get(name.split("/")[0]), FLOOR.get(other.split("/")[0])
            if low is not None and high is not None and high > low:
                wrong.append(f"src/{name}: needs {symbol} of src/{other}, which is on floor {high}, above its own {low}; hand it down, or move one of the two")
            if name < other and name in uses.get(other, {}):
                wrong.append(f"src/{name} and src/{other} need each other ({symbol}, {uses[other][name]}); put what both use into a file below")
    return wrong


def compile_tree(folder, sources):
    found = collections.defaultdict(list)
    for name, text in sources.items():
        path = pathlib.Path(folder, name.replace("/", "_"))
        path.write_text(text)
        subprocess.run(["cc", "-c", str(path), "-o", str(path) + ".o"], check=True)
        found[name].append(str(path) + ".o")
    return found


def self_test():
    sound = {"base/a.c": "int a(void) { return 1; }\n", "tape/b.c": "int a(void);\nint b(void) { return a(); }\n"}
    planted = [({"base/up.c": "int b(void);\nint up(void) { return b(); }\n"}, "src/base/up.c: needs b of src/tape/b.c"),
               ({"io/x.c": "int y(void);\nint x(void) { return y(); }\n", "io/y.c": "int x(void);\nint y(void) { return x(); }\n"}, "src/io/x.c and src/io/y.c need each other")]
    wrong = []
    with tempfile.TemporaryDirectory() as folder:
        wrong += [f"a sound tree is refused: {line}" for line in check(compile_tree(folder, sound))]
        for more, words in planted:
            found = check(compile_tree(folder, {**sound, **more}))
            if len(found) != 1 or words not in found[0]:
                wrong.append(f"expected '{words}', found {found}")
    print("\n".join(wrong) if wrong else f"{len(planted)} planted calls found, the sound tree passes")
    return 1 if wrong else 0


def main():
    if not shutil.which("nm"):
        print("nm is not installed (Debian: binutils)")
        return 77
    if sys.argv[1:] == ["--self-test"]:
        return self_test()
    files = objects(sys.argv[1])
    if not any(uses_of(files).values()):
        print("the objects have no symbols that nm can read")
        return 77
    wrong = check(files)
    print("\n".join(wrong) if wrong else f"{len(files)} files, all calls go down")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
