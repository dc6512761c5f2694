"""WebDAV servers as fixtures: nginx with TLS and without, and rclone."""
import base64
import hashlib
import http.client
import os
import pathlib
import pwd
import shutil

import pytest

from servers import Processes, await_answer, free_port, start_one

USER, PASSWORD = "till", "a secret: 100%"
MODULE = "/usr/lib/nginx/modules/ngx_http_dav_ext_module.so"

# One worker: with several, two may move something to the same name at the same time.
NGINX_CONF = """
load_module {module};
worker_processes 1;
daemon off;
pid nginx.pid;
error_log stderr warn;
{user_line}
events {{ worker_connections 256; }}
http {{
  access_log access.log;
  client_body_temp_path tmp/body; proxy_temp_path tmp/proxy; fastcgi_temp_path tmp/fastcgi;
  uwsgi_temp_path tmp/uwsgi; scgi_temp_path tmp/scgi;
  client_max_body_size 64m;
  root www;
  server {{
    listen 127.0.0.1:{port};
    listen 127.0.0.1:{tls_port} ssl;
    listen 127.0.0.2:{tls_port} ssl;
    ssl_certificate {pem};
    ssl_certificate_key {key};
    location /dav/ {{
      auth_basic tillfs; auth_basic_user_file htpasswd;
      dav_methods PUT DELETE MKCOL MOVE; dav_ext_methods PROPFIND OPTIONS;
    }}
    location /reading/ {{
      alias www/dav/;
      limit_except GET PROPFIND OPTIONS {{ deny all; }}
      dav_ext_methods PROPFIND OPTIONS;
    }}
    location /plain/ {{ alias www/dav/; }}
  }}
}}
"""


def answers(port, path="/"):
    try:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        connection.request("GET", path)
        connection.getresponse().read()
        return True
    except (OSError, http.client.HTTPException):
        return False


class Nginx:
    """/dav/ wants a login, /reading/ shows the same to be read by anyone, /plain/ is no WebDAV."""

    env = {"TILLFS_WEBDAV_USER": USER, "TILLFS_WEBDAV_PASSWORD": PASSWORD}

    def __init__(self, folder, certificates):
        self.folder = pathlib.Path(folder)
        self.processes = Processes(folder)
        self.port, self.tls_port = free_port(), free_port()
        self.root = self.folder / "www" / "dav"
        self.root.mkdir(parents=True)
        (self.folder / "tmp").mkdir()
        digest = base64.b64encode(hashlib.sha1(PASSWORD.encode()).digest()).decode()
        (self.folder / "htpasswd").write_text(f"{USER}:{{SHA}}{digest}\n")
        user_line = f"user {pwd.getpwuid(0).pw_name};" if os.geteuid() == 0 else ""
        (self.folder / "nginx.conf").write_text(NGINX_CONF.format(
            module=MODULE, user_line=user_line, port=self.port, tls_port=self.tls_port,
            pem=certificates.pem, key=certificates.key))

    def start(self):
        path = shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin:/sbin")
        self.master = self.processes.start("nginx", path, "-p", f"{self.folder}/",
                                           "-c", "nginx.conf")
        return await_answer(lambda: answers(self.port), (self.master,))

    def stop(self):
        self.processes.stop()

    def restart(self):
        self.stop()
        assert self.start(), self.processes.logs()

    def url(self, path="/dav/repo", tls=False, host="localhost", port=None):
        scheme = "webdav+https" if tls else "webdav+http"
        return f"{scheme}://{host}:{port or (self.tls_port if tls else self.port)}{path}"


@pytest.fixture(scope="session")
def nginx(certificates):
    server, folder = start_one(lambda folder: Nginx(folder, certificates))
    yield server
    server.stop()
    shutil.rmtree(folder, ignore_errors=True)


class Rclone:
    env = {"TILLFS_WEBDAV_USER": USER, "TILLFS_WEBDAV_PASSWORD": PASSWORD}

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.processes = Processes(folder)
        self.port = free_port()
        self.root = self.folder / "served"
        self.root.mkdir()

    def start(self):
        child = self.processes.start(
            "rclone", "rclone", "serve", "webdav", self.root, "--addr", f"127.0.0.1:{self.port}",
            "--user", USER, "--pass", PASSWORD, "--config", "/dev/null")
        return await_answer(lambda: answers(self.port), (child,))

    def stop(self):
        self.processes.stop()

    def url(self, path="/repo"):
        return f"webdav+http://localhost:{self.port}{path}"


@pytest.fixture(scope="session")
def rclone():
    server, folder = start_one(Rclone)
    yield server
    server.stop()
    shutil.rmtree(folder, ignore_errors=True)
