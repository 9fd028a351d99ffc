"""Pieces that rooms without a door between them need alike; they know of neither meshes nor clusters.

- `work_queue`: keys that a controller has to look at;
- `streams`: connections joined, reset, and where they were going;
- `private_file`: files for their owner only, replaced as a whole;
- `tls`: a certificate shown without its key touching a disk.
"""
