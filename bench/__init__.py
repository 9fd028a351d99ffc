"""`python -m bench`: how fast and how dear the mesh is, measured from outside with real programs.

    scenarios/  what is measured: each drives an agent process and gives figures
    load/       the load: programs of their own, so that they never share an interpreter with what is measured
    server      the agent under measurement, and what /proc and its own counters say of it
    figures     what a measurement comes to; report: how it is shown

Nothing here asserts on time. How to read the table is in docs/benchmarks.md.
"""
