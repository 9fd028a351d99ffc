"""The output of checks, cut to size.

Sizes are bytes of UTF-8; output that isn't UTF-8 is shown with replacement characters.
Source: Consul 1.10 docs, "Checks", `output_max_size`; agent/checks/check.go.
"""

from __future__ import annotations

DEFAULT_OUTPUT_MAX_SIZE = 4096


class Tail:
    """Keeps the last `size` bytes of what is written to it, and counts them all."""

    def __init__(self, size: int) -> None:
        self._size = size if size > 0 else DEFAULT_OUTPUT_MAX_SIZE
        self._kept = bytearray()
        self._written = 0

    def write(self, data: bytes) -> None:
        """Take more output."""
        self._written += len(data)
        self._kept += data
        del self._kept[: -self._size]

    @property
    def text(self) -> str:
        """The kept bytes as text."""
        return self._kept.decode("utf-8", "replace")

    @property
    def captured_text(self) -> str:
        """The kept bytes as text, below a note of how much is missing, if any is."""
        if self._written <= self._size:
            return self.text
        return f"Captured {self._size} of {self._written} bytes\n...\n{self.text}"


def head_of(output: str, size: int) -> str:
    """The first `size` bytes of reported output, and a note of how much is missing, if any is."""
    size = size if size > 0 else DEFAULT_OUTPUT_MAX_SIZE
    encoded = output.encode("utf-8", "replace")
    if len(encoded) <= size:
        return output
    head = encoded[:size].decode("utf-8", "ignore")
    return f"{head} ... (captured {size} of {len(encoded)} bytes)"
