"""What goes wrong is told in a sentence with an exit code of its own."""

import errno
import os

import apsw
import pytest

from paynode.cli.exit_codes import ExitCode
from paynode.cli.problems import Failure, told


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), "No space left on device"),
        (OSError(errno.EFBIG, os.strerror(errno.EFBIG)), "File too large"),
        (apsw.IOError("disk I/O error"), "disk I/O error"),
    ],
)
def test_a_service_that_cannot_write_ends_in_a_sentence(error: Exception, said: str) -> None:
    with pytest.raises(Failure, match=said) as failed, told():
        raise ExceptionGroup("a nursery", [ExceptionGroup("another", [error])])
    assert failed.value.exit_code == ExitCode.IO


def test_damage_that_is_met_on_the_way_ends_in_a_sentence() -> None:
    with pytest.raises(Failure, match="Restore a backup") as failed, told():
        raise ExceptionGroup("a nursery", [apsw.CorruptError("database disk image is malformed")])
    assert failed.value.exit_code == ExitCode.DATABASE
