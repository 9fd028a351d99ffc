"""Custom resources as configuration entries of the mesh.

- `kinds`, `spec_fields`: the table of kinds, and how a spec's fields follow from an entry's own type;
- `conversion`, `schema`: a spec as an entry, the CustomResourceDefinitions;
- `validation`, `admission`: what is wrong with a resource, in the words of the webhook's answer;
- `decision`: what to do about a resource, the controller's pure core;
- `reconciler`, `controller`: one resource at a time, and what follows the API server;
- `web_server`: the webhook over HTTPS.
"""

from pellucid.kube.controllers.config_entries.controller import run
from pellucid.kube.controllers.config_entries.settings import ControllerSettings

__all__ = ["ControllerSettings", "run"]
