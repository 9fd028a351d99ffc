"""Starts nginx as its usual image does: /usr/share/nginx/html on port 80, further settings in conf.d."""

import os
import sys
from pathlib import Path

SETTINGS = Path("/etc/nginx")
MAIN = """user nobody nogroup;
worker_processes auto;
error_log /dev/stderr notice;
pid /tmp/nginx.pid;
events {}
http {
  include /etc/nginx/mime.types;
  default_type application/octet-stream;
  access_log /dev/stdout;
  client_body_temp_path /tmp/client_temp;
  proxy_temp_path /tmp/proxy_temp;
  fastcgi_temp_path /tmp/fastcgi_temp;
  uwsgi_temp_path /tmp/uwsgi_temp;
  scgi_temp_path /tmp/scgi_temp;
  include /etc/nginx/conf.d/*.conf;
}
"""
DEFAULT = """server {
  listen 80;
  root /usr/share/nginx/html;
}
"""


def write_settings() -> None:
    """Where the pod has brought none of its own."""
    further = SETTINGS / "conf.d"
    if not further.exists():
        further.mkdir(parents=True)
        (further / "default.conf").write_text(DEFAULT)
    if not (SETTINGS / "nginx.conf").exists():
        (SETTINGS / "nginx.conf").write_text(MAIN)


def main() -> None:
    """Become nginx, or whatever other program was asked for."""
    words = sys.argv[1:] or ["nginx", "-g", "daemon off;"]
    if words[0] == "nginx":
        write_settings()
    os.execvp(words[0], words)  # noqa: S606


if __name__ == "__main__":
    main()
