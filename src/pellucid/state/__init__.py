"""The log: one ordered history of committed facts, and the tables it adds up to.

`tables` says what a table is and what a change is; `snapshot` is the immutable value of all
tables at one revision; `log` orders commits, makes them durable through an engine, and hands
committed batches to followers; `sqlite` is the durable engine; `mesh_tables` lists the mesh's tables.

Nothing here knows what the rows mean. Imports only `model` (for the row types).
"""
