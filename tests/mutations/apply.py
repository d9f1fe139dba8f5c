"""Every defect of defects.py can be put in: its file is there and holds its text once. Code that moves takes its defects along."""
import pathlib

import defects

ROOT = pathlib.Path(__file__).resolve().parents[2]


def occurrences(defect):
    path = ROOT / defect.file
    return path.read_text().count(defect.old) if path.is_file() else 0


def main():
    every = {defect.name: defect for defect in defects.DEFECTS}
    wrong = [f"{defect.file}: \"{name}\" occurs {occurrences(defect)} times; its text must occur once" for name, defect in every.items() if occurrences(defect) != 1]
    if len(every) < len(defects.DEFECTS):
        wrong.append("two defects have one name")
    print("\n".join(wrong) or f"{len(every)} defects can be put in")
    return 1 if wrong or not every else 0


if __name__ == "__main__":
    raise SystemExit(main())
