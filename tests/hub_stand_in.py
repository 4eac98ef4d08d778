"""A stand-in for the HTTP interface of the Hugging Face Hub: what its library calls to make, fill and read a repository.

Repositories are in memory. A commit is a dictionary of paths and bytes. Every request is recorded.
"""

import base64
import hashlib
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

WRITER, READER = "hf_writer", "hf_reader"
"""Tokens: one may write, one may only read."""


class Repository:
    def __init__(self, private):
        self.private, self.commits, self.branches, self.tags = private, {}, {}, {}
        self.commit("main", {})

    def commit(self, branch, files):
        oid = hashlib.sha1(f"{len(self.commits)}".encode() + b"".join(k.encode() + v for k, v in sorted(files.items())))
        self.commits[oid.hexdigest()] = files
        self.branches[branch] = oid.hexdigest()
        return oid.hexdigest()

    def find(self, revision):
        oid = self.branches.get(revision) or self.tags.get(revision) or revision
        return oid if oid in self.commits else None


class StandIn:
    """The server; use it as a context."""

    def __init__(self):
        self.repositories, self.objects, self.requests = {}, {}, []
        self.refuse_card = ""

    def __enter__(self):
        handler = type("Handler", (_Handler,), {"hub": self})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def files(self, name, revision="main"):
        repository = self.repositories[name]
        return repository.commits[repository.find(revision)]

    def paths(self):
        """The path of every request."""
        return [path for _, path in self.requests]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, content=b"", status=200, **headers):
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        kind = "application/octet-stream" if isinstance(content, bytes) else "application/json"
        for key, value in {"Content-Type": kind, "Content-Length": str(len(body)), **headers}.items():
            self.send_header(key.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def missing(self, code, status=404):
        self.answer({"error": code}, status, X_Error_Code=code)

    def handle_any(self):
        length = int(self.headers.get("Content-Length") or 0)
        self.body = self.rfile.read(length)
        path = urlsplit(self.path).path
        self.hub.requests.append((self.command, unquote(path)))
        for method, pattern, run in ROUTES:
            if (found := re.fullmatch(pattern, path)) and self.command in method:
                run(self, **{key: unquote(value) for key, value in found.groupdict().items() if value is not None})
                return
        self.answer({"error": f"no route {path}"}, 500)

    do_GET = do_HEAD = do_POST = do_PUT = handle_any  # noqa: N815

    @property
    def token(self):
        return (self.headers.get("Authorization") or "").removeprefix("Bearer ")

    def repository(self, name):
        """The repository, or None after an answer that there is none."""
        found = self.hub.repositories.get(name)
        if found is None or (found.private and self.token not in (WRITER, READER)):
            self.missing("RepoNotFound", 404 if self.token else 401)
            return None
        return found

    def may_write(self):
        if self.token != WRITER:
            self.answer({"error": "forbidden"}, 403)
        return self.token == WRITER

    def create(self):
        asked = json.loads(self.body)
        name = f"{asked['organization']}/{asked['name']}"
        if not self.may_write():
            return
        if name in self.hub.repositories:
            self.answer({"error": "You already created this model repo", "url": f"{self.hub.url}/{name}"}, 409)
            return
        self.hub.repositories[name] = Repository(asked.get("visibility") == "private")
        self.answer({"url": f"{self.hub.url}/{name}", "name": name})

    def validate(self):
        if self.hub.refuse_card:
            self.answer({"errors": [{"message": self.hub.refuse_card}], "warnings": []}, 400)
        else:
            self.answer({"errors": [], "warnings": []})

    def info(self, name, revision="main"):
        if (found := self.repository(name)) is None:
            return
        if (oid := found.find(revision)) is None:
            self.missing("RevisionNotFound")
            return
        siblings = [{"rfilename": path} for path in found.commits[oid]]
        self.answer({"id": name, "sha": oid, "private": found.private, "siblings": siblings, "tags": []})

    def tree(self, name, revision):
        files = self.repository(name).commits[self.repository(name).find(revision)]
        rows = [{"type": "file", "path": path, "size": len(c), "oid": _blob(c)} for path, c in files.items()]
        self.answer(rows)

    def branch(self, name, branch):
        found = self.repository(name)
        if branch in found.branches:
            self.answer({"error": "exists"}, 409)
            return
        found.branches[branch] = found.branches["main"]
        self.answer({})

    def preupload(self, name, revision):
        if not self.may_write():
            return
        files = json.loads(self.body)["files"]
        modes = [
            {
                "path": f["path"],
                "uploadMode": "lfs" if f["path"].endswith(".safetensors") else "regular",
                "shouldIgnore": False,
            }
            for f in files
        ]
        self.answer({"files": modes})

    def batch(self, name):
        objects = json.loads(self.body)["objects"]
        made = [{**each, "actions": {"upload": {"href": f"{self.hub.url}/lfs/{each['oid']}"}}} for each in objects]
        self.answer({"transfer": "basic", "objects": made})

    def put(self, oid):
        if hashlib.sha256(self.body).hexdigest() != oid:
            self.answer({"error": "digest"}, 400)
            return
        self.hub.objects[oid] = self.body
        self.answer()

    def commit(self, name, revision):
        if not self.may_write():
            return
        found, files = self.hub.repositories[name], dict(self.hub.files(name, revision))
        for line in map(json.loads, self.body.splitlines()):
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                files[value["path"]] = self.hub.objects[value["oid"]]
            elif line["key"] == "deletedFile":
                del files[value["path"]]
        oid = found.commit(revision, files)
        self.answer({"commitUrl": f"{self.hub.url}/{name}/commit/{oid}", "commitOid": oid})

    def resolve(self, name, revision, path):
        if (found := self.repository(name)) is None:
            return
        if (oid := found.find(revision)) is None:
            self.missing("RevisionNotFound")
        elif path not in found.commits[oid]:
            self.answer({}, 404, X_Error_Code="EntryNotFound", X_Repo_Commit=oid)
        else:
            content = found.commits[oid][path]
            self.answer(content, ETag=f'"{_blob(content)}"', X_Repo_Commit=oid)


def _blob(content):
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


NAME = r"(?P<name>[^/]+/[^/]+)"
ROUTES = (
    (("POST",), "/api/repos/create", _Handler.create),
    (("POST",), "/api/validate-yaml", _Handler.validate),
    (("GET",), f"/api/models/{NAME}", _Handler.info),
    (("GET",), f"/api/models/{NAME}/revision/(?P<revision>[^/]+)", _Handler.info),
    (("GET",), f"/api/models/{NAME}/tree/(?P<revision>[^/]+)", _Handler.tree),
    (("POST",), f"/api/models/{NAME}/branch/(?P<branch>[^/]+)", _Handler.branch),
    (("POST",), f"/api/models/{NAME}/preupload/(?P<revision>[^/]+)", _Handler.preupload),
    (("POST",), f"/api/models/{NAME}/commit/(?P<revision>[^/]+)", _Handler.commit),
    (("POST",), rf"/{NAME}\.git/info/lfs/objects/batch", _Handler.batch),
    (("PUT",), "/lfs/(?P<oid>[0-9a-f]{64})", _Handler.put),
    (("GET", "HEAD"), f"/{NAME}/resolve/(?P<revision>[^/]+)/(?P<path>.+)", _Handler.resolve),
)
