"""kind's words for what `pellucid cluster` does, for a link to it that is named `kind`.

Source: kind v0.23 command line.
"""

from __future__ import annotations

from collections.abc import Sequence

WORDS = {
    ("create", "cluster"): ("cluster", "create"),
    ("delete", "cluster"): ("cluster", "delete"),
    ("get", "clusters"): ("cluster", "list"),
    ("get", "kubeconfig"): ("cluster", "kubeconfig"),
    ("get", "nodes"): ("cluster", "nodes"),
    ("load", "image-archive"): ("cluster", "load"),
    ("export", "logs"): ("cluster", "logs"),
    ("version",): ("version",),
}


def as_cluster_words(words: Sequence[str]) -> list[str]:
    """A command line of kind's as one of ours; help on `cluster` for what kind has and we have not."""
    for theirs, ours in WORDS.items():
        if tuple(words[: len(theirs)]) == theirs:
            return [*ours, *words[len(theirs) :]]
    return ["cluster"]
