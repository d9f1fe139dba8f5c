"""Defects to put in on purpose, one at a time: where, the text, the text in its place, and the tests of which one must turn red.

Each is a mistake that somebody could make. The tests named are the cheapest that see it; others may too."""
import defects_numbers
import defects_runs

# Every list of these files, so that none is forgotten.
DEFECTS = [defect for module in (defects_numbers, defects_runs) for name, group in vars(module).items() if name.isupper() for defect in group]
