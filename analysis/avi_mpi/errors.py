"""What can go wrong, one class for each exit status of the program.

All of them are `AviError`s with the program's own message as text and these attributes:

    status     exit status of the program, or of a script that ends by this error
    run        the Run that the program left behind, None where there is none
    messages   all that the program printed
"""


class AviError(Exception):
    """Base of all errors of this package.

    `status` is the exit status (int), `run` the Run with what was written before the error or None, `messages` the
    text that the program printed ("" where no program ran).
    """

    status = 1

    def __init__(self, message, status=None, run=None, messages=""):
        super().__init__(message)
        if status is not None:
            self.status = status
        self.run, self.messages = run, messages


class BudgetSpent(AviError):
    """3: the steps were done before the rule of [stop] was met, with stop__required=True. `run` has the fit."""

    status = 3


class Diverged(AviError):
    """4: the fit diverged. `run` has its trace."""

    status = 4


class UsageError(AviError):
    """64: an argument that cannot be."""

    status = 64


class DataError(AviError):
    """65: data, a file or a checkpoint that is not what it should be."""

    status = 65


class NotFound(AviError):
    """66: no such file, or the run has nothing of the kind that was asked for."""

    status = 66


class CannotStart(AviError):
    """69: the program or the command that starts its ranks is missing, or could not start them."""

    status = 69


class InternalError(AviError):
    """70: a fault of the program, or memory is short."""

    status = 70


class CannotCreate(AviError):
    """73: the output folder cannot be created or written."""

    status = 73


class WriteError(AviError):
    """74: reading or writing failed, for example because the disk is full."""

    status = 74


class Stopped(AviError):
    """75: stopped by a signal or by run__time_limit, with a checkpoint. The same call resumes from there."""

    status = 75


class ConfigError(AviError):
    """78: unknown keys, or values that cannot be. The message names all of them."""

    status = 78


class RankLost(AviError):
    """A rank was ended by a signal (128 + its number), or a node was lost (205)."""

    status = 205


_CLASSES = {one.status: one for one in (BudgetSpent, Diverged, UsageError, DataError, NotFound, CannotStart, InternalError, CannotCreate, WriteError, Stopped, ConfigError, RankLost)}

# Often the cause, as jobs/common.sh says it.
_SIGNALS = {
    4: "often: built for another processor; use jobs/build.sh on this one",
    7: "often: /dev/shm is full; use run__reduction=\"messages\"",
    9: "often: memory is short",
    11: "a fault of the program or of a library",
}


def error_of(status, message, run=None, messages=""):
    """The error of an exit status (int) with a message. `message` may be empty: the status is then explained."""
    if status == 205:
        message = message or "a node or its connection was lost"
    elif status > 128:
        number = status - 128
        about = f"a rank was ended by signal {number} ({_SIGNALS.get(number, 'the log of the job may say more')})"
        return RankLost(f"{about}\n{message}".rstrip(), status, run, messages)
    found = _CLASSES.get(status, AviError)
    return found(message or (found.__doc__ or "").split("\n")[0], status, run, messages)
