"""Every defect of defects.py can be put in: its file is there and holds its text once, and a test has a name like that of the test that should see it. Code and tests that move take their
defects along."""
import json
import os
import pathlib
import re
import subprocess

import defects

ROOT = pathlib.Path(__file__).resolve().parents[2]


def occurrences(defect):
    path = ROOT / defect.file
    return path.read_text().count(defect.old) if path.is_file() else 0


def test_names():
    done = subprocess.run(["ctest", "--test-dir", os.environ["AVI_BUILD_DIR"], "--show-only=json-v1"], check=True, capture_output=True, text=True)
    return [test["name"] for test in json.loads(done.stdout)["tests"]]


def main():
    names = test_names()
    every = {defect.name: defect for defect in defects.DEFECTS}
    wrong = [f"{defect.file}: \"{name}\" occurs {occurrences(defect)} times; its text must occur once" for name, defect in every.items() if occurrences(defect) != 1]
    wrong += [f"\"{name}\": no test has a name like {defect.tests}" for name, defect in every.items() if not any(re.search(defect.tests, test) for test in names)]
    if len(every) < len(defects.DEFECTS):
        wrong.append("two defects have one name")
    print("\n".join(wrong) or f"{len(every)} defects can be put in")
    return 1 if wrong or not every else 0


if __name__ == "__main__":
    raise SystemExit(main())
