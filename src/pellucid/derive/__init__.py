"""Derived values: everything that follows from the log, computed once and only when asked for.

`query`, `memo` and `engine` are a small incremental engine that knows nothing of meshes: how a query is
written, what is remembered of it, and when it runs. The other modules are the mesh's queries.

Glossary (used in code and tests with exactly these meanings):

- *input*: something a query reads that is not itself derived: a row, an index bucket, a table
  (all stamped by the log), or a *cell* (a value set by the edge, such as the leaf certificates).
- *query*: a pure function of inputs and of other queries; its *memo* is the remembered result for
  one set of arguments, with the inputs and calls it recorded while it ran.
- *reader*: a memo that called another.
- *root*: a memo with a subscription. A memo is *live* while a root depends on it, *idle* otherwise.
- *stale*: a live memo whose inputs or calls changed since it ran.
- *cut-off*: a stale memo that ran again and came to an equal value, so that its readers stay valid.
- *height*: one more than the highest call; memos settle lowest first, each at most once a wave.
"""
