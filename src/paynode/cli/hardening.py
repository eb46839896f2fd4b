"""What the daemon's process gives up before it reads a secret: core files, readable memory, files that others may read.

And what is wiped once it has read them: the environment, which every process of this user could read in /proc.
"""

import ctypes
import os
import resource
from collections.abc import MutableMapping

PR_SET_DUMPABLE = 4  # linux/prctl.h
CREDENTIAL_PREFIX = "PAYNODE_CREDENTIAL_"

_libc = ctypes.CDLL(None, use_errno=True)
_libc.getenv.restype = ctypes.c_void_p


def harden() -> None:
    """No core file, no ptrace and no /proc/PID/mem for processes of the same user; new files are ours alone."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if _libc.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:
        errno = ctypes.get_errno()
        raise OSError(errno, os.strerror(errno), "prctl(PR_SET_DUMPABLE)")
    os.umask(0o077)


def forget_credentials(environ: MutableMapping[str, str]) -> None:
    """Remove the secrets that came by the environment, from `environ` and from the process's own block of it."""
    for name in [name for name in environ if name.startswith(CREDENTIAL_PREFIX)]:
        # /proc/PID/environ shows the bytes that the kernel put there; unsetting a name does not change them.
        address = _libc.getenv(name.encode())
        if address is not None:
            ctypes.memset(address, ord("*"), len(os.fsencode(environ[name])))
        del environ[name]
