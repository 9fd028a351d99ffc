"""Asks a greeter for its greeting every two seconds and prints what it says."""

import os
import signal
import sys
import time
import urllib.error
import urllib.request

URL = os.environ.get("HELLO_URL", "http://hello.default.svc.cluster.local:8080/hello")


def ask(url: str) -> str:
    """The greeting, or why there is none."""
    try:
        request = urllib.request.Request(url, headers={"Connection": "close"})  # noqa: S310
        with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310
            return f"{url} says: {response.read().decode(errors='replace').strip()}"
    except OSError as problem:
        return f"[ERR] failed to dial hello service: {getattr(problem, 'reason', problem)}"


def main() -> None:
    """Ask until told to end."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    while True:
        print(time.strftime("%Y/%m/%d %H:%M:%S"), ask(URL), flush=True)
        time.sleep(2)


if __name__ == "__main__":
    main()
