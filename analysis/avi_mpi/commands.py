"""What the commands of the package share."""

import os
import sys

from .errors import AviError


def as_script(main):
    """Runs main() of a command; an AviError becomes a message on the screen and the exit status."""
    try:
        main()
    except AviError as error:
        name = os.path.basename(sys.argv[0])
        print(f"{name}: {error}", file=sys.stderr)
        sys.exit(error.status)


def shown(path):
    """A path as a person would type it from here."""
    near = os.path.relpath(path)
    return path if near.startswith("..") else near
