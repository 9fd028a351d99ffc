"""The endpoints controller: injected pods and the Services in front of them, as instances in the catalog.

- `observed`: what is seen of pods and Services, as values;
- `registration`: what a pod and its Services come to, the pure core;
- `catalog`: registrations as values: written, read back, compared;
- `reconciler`: one pod at a time, what it comes to against what the catalog holds;
- `controller`: what follows the API server and outlasts a server that is away.
"""

from pellucid.kube.controllers.endpoints.controller import run
from pellucid.kube.controllers.endpoints.settings import ControllerSettings

__all__ = ["ControllerSettings", "run"]
