#!/usr/bin/env python3
"""Data as people have them: what the program makes of a file, or says of it. Each function of the files cases_*.py is a case; names on the command line select some."""
import concurrent.futures
import importlib
import pathlib
import sys
import tempfile
import traceback

from small_runs import Case

HERE = pathlib.Path(__file__).resolve().parent


def cases():
    for file in sorted(HERE.glob("cases_*.py")):
        module = importlib.import_module(file.stem)
        for name, function in vars(module).items():
            if name.startswith("case_"):
                yield f"{file.stem[6:]}.{name[5:]}", function


def one(name, function):
    with tempfile.TemporaryDirectory(prefix="avi_intake_") as folder:
        try:
            function(Case(pathlib.Path(folder)))
        except Exception as error:  # a case that breaks is a failure with its name
            where = "".join(traceback.format_tb(error.__traceback__)[-1:])
            return f"{name}: {type(error).__name__}: {error}\n{where}"
    return None


def main():
    chosen = [(n, f) for n, f in cases() if not sys.argv[1:] or any(word in n for word in sys.argv[1:])]
    if not chosen:
        print("no such case")
        return 1
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        failures = [f for f in pool.map(lambda c: one(*c), chosen) if f]
    for failure in failures:
        print(failure)
    print(f"{len(chosen)} cases, {len(failures)} failed")
    return bool(failures)


if __name__ == "__main__":
    sys.exit(main())
