"""What each exit code means; where sysexits.h has a number for it, it is that one.

systemd should not restart after 65 and 78: `RestartPreventExitStatus=65 78`.
"""

from enum import IntEnum


class ExitCode(IntEnum):
    OK = 0
    PROBLEM = 1
    USAGE = 2
    DATABASE = 65
    UNAVAILABLE = 69
    EXISTS = 73
    IO = 74
    BUSY = 75
    CONFIG = 78


MEANING = {
    ExitCode.OK: "it worked",
    ExitCode.PROBLEM: "a problem was found, or the request was refused",
    ExitCode.USAGE: "the command line is wrong",
    ExitCode.DATABASE: "the database is missing, damaged, foreign or newer than this version",
    ExitCode.UNAVAILABLE: "no daemon answers",
    ExitCode.EXISTS: "init would have to overwrite something",
    ExitCode.IO: "a file cannot be read or written, or the disk is full",
    ExitCode.BUSY: "another process has the data, the database or the port",
    ExitCode.CONFIG: "the config is wrong, or contradicts the database",
}

# \b keeps click from wrapping it into one paragraph.
EXPLAINED = "\b\nExit codes:\n" + "\n".join(f"  {code.value:2}  {MEANING[code]}" for code in ExitCode)
