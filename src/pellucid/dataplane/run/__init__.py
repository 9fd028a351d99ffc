"""`pellucid run`: one program, unmodified, in the mesh, and nothing left of it afterwards.

    supervisor              on the host; `run_workload`
      guardian              deregisters, should the supervisor be killed
      first process         process 1 of the workload's namespaces; all inside ends with it
        Envoy               user 5995
        COMMAND             the caller's user

Pure: `settings`, `service_definition`, `program`. In a process of its own: `guardian`.
"""
