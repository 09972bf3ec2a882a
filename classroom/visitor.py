"""A student as the hub sees one: logs in, fetches notebooks, runs cells, over HTTP only."""

from __future__ import annotations

import contextlib
import json
import time
import uuid
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlencode

import requests
import websocket


class Refused(Exception):
    """The server or the kernel said no."""


class Visitor:
    """A student with an account on the machine."""

    def __init__(self, address: str, login: str, password: str) -> None:
        self.address, self.login, self.password = address, login, password
        self.session = requests.Session()
        self.server = f"/user/{login}"

    def call(self, method: str, path: str, **arguments: Any) -> requests.Response:
        """Ask for a path; raise Refused if the answer is an error."""
        response = self.session.request(
            method, self.address + path, timeout=arguments.pop("timeout", 120), **arguments
        )
        if not response.ok:
            raise Refused(f"{method} {path}: {response.status_code} {response.text[:300]}")
        return response

    def wait_for_hub(self, seconds: float = 90) -> None:
        """Wait until the hub answers."""
        end = time.monotonic() + seconds
        while True:
            try:
                self.call("GET", "/hub/api/", timeout=5)
                return
            except (requests.RequestException, Refused):
                if time.monotonic() > end:
                    raise
                time.sleep(0.2)

    def log_in(self) -> None:
        """Log in through the form, and take a token for this student's own server."""
        self.call("GET", "/hub/login")
        secret = self.session.cookies.get("_xsrf", path="/hub/")
        form = {"username": self.login, "password": self.password, "_xsrf": secret}
        page = self.call("POST", "/hub/login", data=form, allow_redirects=False)
        if page.status_code != 302:
            raise Refused(f"{self.login}: the hub did not take the password")
        self.call("GET", "/hub/home")
        secret = self.session.cookies.get("_xsrf", path="/hub/")
        token = self.call(
            "POST",
            f"/hub/api/users/{self.login}/tokens",
            headers={"X-XSRFToken": secret, "Referer": f"{self.address}/hub/home"},
            json={"note": "class test", "expires_in": 7200},
        ).json()["token"]
        self.session.cookies.clear()
        self.session.headers["Authorization"] = f"token {token}"

    def start_server(self, seconds: float = 240) -> None:
        """Start the student's server and wait until it answers."""
        end = time.monotonic() + seconds
        while True:
            answer = self.session.post(
                f"{self.address}/hub/api/users/{self.login}/server", timeout=seconds
            )
            if answer.status_code == 201 or "already running" in answer.text:
                try:
                    self.call("GET", f"{self.server}/api/status", timeout=10)
                    return
                except (requests.RequestException, Refused):
                    pass  # killed, and the hub has not noticed yet
            elif answer.status_code not in (202, 400, 429, 503):
                raise Refused(f"server: {answer.status_code} {answer.text[:300]}")
            if time.monotonic() > end:
                raise Refused(f"server: not there after {seconds} s: {answer.text[:300]}")
            time.sleep(1.0)

    def pull(self, link: dict[str, str]) -> None:
        """Fetch what a link hands out, as the page behind the link does."""
        path = f"{self.server}/git-pull/api?{urlencode(link)}"
        for line in self.call("GET", path).text.splitlines():
            if line.startswith("data:"):
                event = json.loads(line[5:])
                if event["phase"] == "error":
                    raise Refused(f"git-pull: {event.get('message')} {event.get('output')}")
                if event["phase"] == "finished":
                    return
        raise Refused("git-pull: ended without a word")

    def read(self, path: str) -> str:
        """Return the text of a file."""
        where = f"{self.server}/api/contents/{quote(path)}?type=file&format=text&content=1"
        return str(self.call("GET", where).json()["content"])

    def write(self, path: str, text: str) -> None:
        """Save a text file."""
        model = {"type": "file", "format": "text", "content": text}
        self.call("PUT", f"{self.server}/api/contents/{quote(path)}", json=model)

    def status(self, path: str) -> int:
        """Return the status code that a path answers with."""
        return self.session.get(self.address + path, timeout=60).status_code

    @contextlib.contextmanager
    def kernel(self, path: str) -> Iterator[websocket.WebSocket]:
        """Run a kernel for a notebook: a connection to it."""
        model = {"path": path, "name": path, "type": "notebook", "kernel": {"name": "python3"}}
        session = self.call("POST", f"{self.server}/api/sessions", json=model).json()
        address = self.address.replace("http", "ws", 1)
        connection = websocket.create_connection(
            f"{address}{self.server}/api/kernels/{session['kernel']['id']}/channels",
            header=[f"Authorization: {self.session.headers['Authorization']}"],
            timeout=600,
        )
        try:
            yield connection
        finally:
            connection.close()
            self.call("DELETE", f"{self.server}/api/sessions/{session['id']}")

    def execute(self, kernel: websocket.WebSocket, code: str) -> str:
        """Run a cell and return what it printed; raise Refused if it raised."""
        identity = uuid.uuid4().hex
        header = {"msg_id": identity, "msg_type": "execute_request", "session": identity}
        header |= {"username": self.login, "version": "5.3", "date": ""}
        content = {"code": code, "silent": False, "store_history": True}
        content |= {"user_expressions": {}, "allow_stdin": False, "stop_on_error": True}
        message = {"header": header, "parent_header": {}, "metadata": {}, "content": content}
        kernel.send(json.dumps({**message, "channel": "shell", "buffers": []}))
        printed, error, open_ends = [], "", {"reply", "idle"}
        while open_ends:
            text = kernel.recv()
            if isinstance(text, bytes):  # widgets' buffers: the length of the JSON part comes first
                continue
            answer = json.loads(text)
            if answer["parent_header"].get("msg_id") != identity:
                continue
            kind, content = answer["msg_type"], answer["content"]
            if kind == "stream":
                printed.append(content["text"])
            elif kind == "error":
                error = f"{content['ename']}: {content['evalue']}"
            elif kind == "execute_reply":
                open_ends.discard("reply")
            elif kind == "status" and content["execution_state"] == "idle":
                open_ends.discard("idle")
        if error:
            raise Refused(error)
        return "".join(printed).strip()

    def evaluate(self, code: str) -> str:
        """Run a cell in a kernel of its own and return what it printed."""
        with self.kernel(f"{uuid.uuid4().hex}.ipynb") as kernel:
            return self.execute(kernel, code)

    def is_refused(self, code: str, *errors: str) -> bool:
        """Whether code raises one of the named errors."""
        try:
            self.evaluate(code)
        except Refused as error:
            return str(error).startswith(errors)
        return False
