"""`pellucid demo`: the mesh on one machine, shown with real programs, step by step.

`story` tells it, `stage` has the programs and puts everything back, `outside` is a stand-in for the
internet, `evidence` looks at the real Envoys, `telling` prints.
"""

from __future__ import annotations

from pellucid.demo.story import run_demo

__all__ = ["run_demo"]
