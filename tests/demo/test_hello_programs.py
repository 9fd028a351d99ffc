"""The two hello programs, plain: no mesh anywhere."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pellucid.demo.hello_lines import says_error, says_hello
from pellucid.demo.stage import Program, free_port

EXAMPLES = Path(__file__).parents[2] / "examples" / "hello"


@contextmanager
def running(name: str, *arguments: str) -> Iterator[Program]:
    process = subprocess.Popen(
        [sys.executable, str(EXAMPLES / name), *arguments], stdout=subprocess.PIPE, text=True
    )
    program = Program(process)
    try:
        yield program
    finally:
        program.stop()


def test_the_client_prints_what_the_server_says_and_when_it_says_nothing() -> None:
    port = free_port(0)
    url = f"http://127.0.0.1:{port}/hello"
    with running("hello_client.py", "--url", url, "--interval", "0.05") as client:
        assert "[ERR] failed to dial hello service" in client.wait_for(says_error).text
        with running("hello_server.py", "--port", str(port)):
            assert client.wait_for(says_hello).text.endswith(f"{url} says: Hello World")
