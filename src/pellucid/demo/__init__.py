"""`pellucid demo`: the mesh shown with real programs, step by step.

`walkthrough` tells it on Kubernetes, `more` what that leaves out, `one_machine` without a cluster.
`cluster_stage` and `stage` run commands as typed, `toolbox` provides them, `told` begins and ends every
story, `outside` is a stand-in for the internet, `evidence` and `pod_evidence` look at the real Envoys,
`telling` prints.
"""
