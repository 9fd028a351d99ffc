"""The hello client: asks for a greeting again and again and prints it. Knows nothing of any mesh."""

import argparse
import time
import urllib.error
import urllib.request


def greeting_from(url: str, timeout: float) -> str:
    """One line to print: the greeting, or why there is none."""
    try:
        request = urllib.request.Request(url, headers={"Connection": "close"})
        with urllib.request.urlopen(request, timeout=timeout) as response:
            return f"{url} says: {response.read().decode().strip()}"
    except (urllib.error.URLError, OSError, ValueError) as error:
        return f"[ERR] failed to dial hello service: {getattr(error, 'reason', error)}"


def main() -> None:
    """Ask until killed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default="http://hello.virtual.consul:8080/hello")
    parser.add_argument("--interval", type=float, default=2.0, help="seconds between requests")
    parser.add_argument("--timeout", type=float, default=10.0, help="seconds to wait for an answer")
    options = parser.parse_args()
    while True:
        print(time.strftime("%Y/%m/%d %H:%M:%S"), greeting_from(options.url, options.timeout), flush=True)
        time.sleep(options.interval)


if __name__ == "__main__":
    main()
