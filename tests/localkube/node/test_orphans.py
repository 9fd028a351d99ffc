import os
import signal
import subprocess

import pytest

from pellucid.localkube.node.orphans import reap_orphans


@pytest.fixture
def ended_child() -> int:
    """A process that has ended and that nobody has waited for yet."""
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
    return child


def test_an_ended_child_is_reaped_at_the_second_sight(ended_child: int) -> None:
    seen = reap_orphans(frozenset())
    assert ended_child in seen
    assert ended_child not in reap_orphans(seen)
    with pytest.raises(ChildProcessError):
        os.waitpid(ended_child, os.WNOHANG)


def test_a_running_child_is_nobodys_orphan(ended_child: int) -> None:
    with subprocess.Popen(["sleep", "infinity"]) as running:
        seen = reap_orphans(frozenset())
        reap_orphans(seen)
        assert running.pid not in seen
        running.send_signal(signal.SIGKILL)
        assert running.wait() == -signal.SIGKILL
