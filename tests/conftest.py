"""Options, rules and the closing check that all tests share.

- `--nightly` runs tests marked `nightly` and more examples of every property.
- `--refresh-golden` rewrites golden files instead of comparing with them.
- A test marked `root` fails by name where root is promised (CI=true) and is skipped elsewhere.
- At the end nothing the tests made may be left on the machine.
"""

from __future__ import annotations

import fcntl
import os
import tempfile
import time
import uuid
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.leftovers import SESSION_VARIABLE, Machine, look

GRACE_S = 5.0
"""How long things that are on their way out may take to be gone."""

settings.register_profile(
    "quick", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("nightly", settings.get_profile("quick"), max_examples=1_000)

_session = uuid.uuid4().hex
_before = pytest.StashKey[Machine]()
_left = pytest.StashKey[list[str]]()
_running = pytest.StashKey[int]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("pellucid")
    group.addoption("--nightly", action="store_true", help="run the long variants too")
    group.addoption("--refresh-golden", action="store_true", help="rewrite golden files")


def pytest_configure(config: pytest.Config) -> None:
    settings.load_profile("nightly" if config.getoption("--nightly") else "quick")


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("nightly") and not item.config.getoption("--nightly"):
        pytest.skip("a long variant; run with --nightly")
    if item.get_closest_marker("root") and os.geteuid() != 0:
        reason = f"{item.name} needs root (network namespaces, iptables, mounts)"
        if os.environ.get("CI") == "true":
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)


@pytest.fixture(scope="session")
def nightly(pytestconfig: pytest.Config) -> bool:
    """True in the long variant of the test run."""
    return bool(pytestconfig.getoption("--nightly"))


@pytest.fixture(scope="session")
def refresh_golden(pytestconfig: pytest.Config) -> bool:
    """True when golden files are to be rewritten rather than compared with."""
    return bool(pytestconfig.getoption("--refresh-golden"))


def pytest_sessionstart(session: pytest.Session) -> None:
    os.environ[SESSION_VARIABLE] = _session
    lock = Path(tempfile.gettempdir()) / f"pellucid-tests-{os.geteuid()}.lock"
    session.stash[_running] = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(session.stash[_running], fcntl.LOCK_SH)
    session.stash[_before] = look(_session)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    deadline = time.monotonic() + GRACE_S
    left = _left_behind(session)
    while left and time.monotonic() < deadline:
        time.sleep(0.1)
        left = _left_behind(session)
    session.stash[_left] = left
    if left and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    left = terminalreporter._session.stash.get(_left, [])  # type: ignore[union-attr]
    if left:
        terminalreporter.section("left behind by the tests", red=True)
        for line in left:
            terminalreporter.line(line)


def _left_behind(session: pytest.Session) -> list[str]:
    lines = look(_session).more_than(session.stash[_before])
    return lines if _alone(session) else [line for line in lines if line.startswith("processes: ")]


def _alone(session: pytest.Session) -> bool:
    """False while another test run on this machine makes namespaces, links and rules of its own."""
    try:
        fcntl.flock(session.stash[_running], fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        fcntl.flock(session.stash[_running], fcntl.LOCK_SH)
        return False
    fcntl.flock(session.stash[_running], fcntl.LOCK_SH)
    return True
