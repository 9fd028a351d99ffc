"""Calls the greeting's Service twenty times a second, each time on a new connection, and says how it went."""

import time
import urllib.request

while True:
    started = time.monotonic()
    try:
        with urllib.request.urlopen("http://greeting:8080/hello", timeout=5) as answer:
            print("ok", answer.status, flush=True)
    except Exception as problem:
        print("failed", problem, time.strftime("%H:%M:%S"), flush=True)
    time.sleep(max(0.0, 0.05 - (time.monotonic() - started)))
