"""How many files and connections this process may have open at once."""

import resource

_MOST = 1 << 16


def raise_limit() -> int:
    """Allow as many as the system lets this process ask for, up to 65,536, and return how many those are.

    The usual soft limit of 1,024 is less than a thousand nodes and their service need together.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST if hard == resource.RLIM_INFINITY else min(hard, _MOST)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        return wanted
    return soft
