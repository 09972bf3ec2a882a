"""The class on one server: what can be tried without root and without a hub."""

from __future__ import annotations

import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import parse_qs, urlparse

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "classroom"


@pytest.fixture(autouse=True)
def scripts(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))


def test_class_list():
    from accounts import read_class

    students, mistakes = read_class(
        ["login,name,seat\n", "ada,Ada Lovelace,1\n", " emmy ,Emmy Noether,2\n"]
    )
    assert [tuple(s) for s in students] == [("ada", "Ada Lovelace"), ("emmy", "Emmy Noether")]
    assert mistakes == []


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("ada,Ada Two\n", "line 3: login 'ada' is Ada Lovelace's already"),
        ("Ada,Ada\n", "line 3: login: expected lower-case"),
        ("-rf,Robert\n", "got '-rf'"),
        ("../x,Path\n", "got '../x'"),
        (",Nobody\n", "got ''"),
        ("a" * 40 + ",Long\n", "at most 31"),
        ("bob,Bob:0:0\n", "name: expected no colon"),
        ("bob\n", ""),  # no name: an account all the same
    ],
)
def test_a_line_that_cannot_be_used_is_named_and_the_rest_goes_on(line, words):
    from accounts import read_class

    students, mistakes = read_class(["login,name\n", "ada,Ada Lovelace\n", line, "eve,Eve\n"])
    assert [s.login for s in students if s.login in ("ada", "eve")] == ["ada", "eve"]
    assert len(mistakes) == (1 if words else 0)
    assert words in "".join(mistakes)


def test_a_list_without_the_columns_is_refused():
    from accounts import read_class

    with pytest.raises(ValueError, match=r"expected the columns login and name, got \['user'\]"):
        read_class(["user\n", "ada\n"])


def test_accounts_are_made_by_root_only(monkeypatch):
    import accounts

    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setattr(sys, "argv", ["accounts.py", "class.csv"])
    with pytest.raises(SystemExit, match="made by root"):
        accounts.main()


def test_handout_is_published_and_fetched_and_grows(tmp_path):
    from handout import link, publish

    folder, repository = tmp_path / "hand out", tmp_path / "handout.git"
    folder.mkdir()
    (folder / "1.ipynb").write_text("{}")
    assert publish(folder, repository, "First")
    assert not publish(folder, repository, "Again")
    copy = tmp_path / "copy"
    subprocess.run(["git", "clone", "-q", repository, copy], check=True)
    assert [f.name for f in copy.glob("*.ipynb")] == ["1.ipynb"]
    (folder / "2.ipynb").write_text("{}")
    (folder / "1.ipynb").unlink()
    assert publish(folder, repository, "Second")
    subprocess.run(["git", "pull", "-q"], check=True, cwd=copy)
    assert [f.name for f in copy.glob("*.ipynb")] == ["2.ipynb"]
    address = urlparse(link("2 b.ipynb", repository, "https://class.example.org/"))
    assert address.path == "/hub/user-redirect/git-pull"
    query = parse_qs(address.query)
    assert query["urlpath"] == ["lab/tree/attention/2%20b.ipynb"]
    assert query["repo"] == [str(repository)]


def test_the_book_is_served_below_the_hubs_path(tmp_path):
    import asyncio

    from serve_book import application
    from tornado.httpclient import AsyncHTTPClient, HTTPClientError
    from tornado.httpserver import HTTPServer
    from tornado.testing import bind_unused_port

    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "index.html").write_text("the book")
    (tmp_path / "private.txt").write_text("private")

    async def visit() -> None:
        socket, port = bind_unused_port()
        server = HTTPServer(application("/services/book/", tmp_path / "site"))
        server.add_socket(socket)
        address, client = f"http://127.0.0.1:{port}/services/book", AsyncHTTPClient()
        for path in ("", "/", "/index.html"):
            assert (await client.fetch(address + path)).body == b"the book"
        for path in ("/../private.txt", "/%2e%2e/private.txt", "/none.html"):
            with pytest.raises(HTTPClientError, match=r"40[34]"):
                await client.fetch(address + path)
        server.stop()

    with ThreadPoolExecutor(1) as pool:  # the browser of other tests has this thread's event loop
        pool.submit(asyncio.run, visit()).result()


def test_many_machines_have_the_settings_of_the_one():
    """What the chart's schema says of the form was compared by hand; the numbers are held here."""
    values = yaml.safe_load((FOLDER / "kubernetes" / "values.yaml").read_text())
    config = (FOLDER / "jupyterhub_config.py").read_text()
    one = dict(re.findall(r"^([A-Z_]+) = ([^#\n]+?)\s*(?:#.*)?$", config, re.MULTILINE))
    single = values["singleuser"]
    assert single["memory"]["limit"] == one["MEMORY"].strip('"')
    assert single["cpu"]["limit"] == float(one["CORES"])
    assert values["cull"]["timeout"] == eval(one["IDLE_SECONDS"])
    assert single["extraEnv"].items() <= dict(re.findall(r'"(\w+)": "(\w+)"', config)).items()
    assert single["defaultUrl"] == "/lab"


def test_configuration_is_python_and_the_requirements_are_exact():
    compile((FOLDER / "jupyterhub_config.py").read_text(), "jupyterhub_config.py", "exec")
    lines = (FOLDER / "requirements.txt").read_text().splitlines()
    packages = [line for line in lines if line and not line.startswith("#")]
    assert packages
    assert all(re.fullmatch(r"[a-z-]+==[\d.]+", line) for line in packages)
