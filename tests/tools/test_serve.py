"""tools/serve.py: a port that cannot be used is named; the book is served on this machine only."""

from __future__ import annotations

import socket
import webbrowser
from pathlib import Path

import pytest
import serve


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A site of one page, whose visit is the browser's only one: then it is interrupted."""

    def visit(url: str) -> None:
        assert url.startswith("http://127.0.0.1:")
        monkeypatch.setattr(serve.http.server.ThreadingHTTPServer, "serve_forever", interrupted)

    def interrupted(server: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(webbrowser, "open", visit)
    (tmp_path / "index.html").write_text("the book")
    return tmp_path


@pytest.mark.parametrize("port", ["abc", "99999", "-1", "", "8000.5", "٣", "9" * 5000])
def test_a_port_that_is_none_is_named(
    site: Path, port: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        serve.main([str(site), port])
    assert stopped.value.code == 2
    assert "port" in capsys.readouterr().err


def test_a_port_that_is_taken_is_replaced_and_named(
    site: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        serve.main([str(site), str(port)])
    first, second = capsys.readouterr().out.splitlines()[:2]
    assert first.startswith(f"Port {port} cannot be used (")
    assert f":{port}/" not in second


def test_a_free_port_is_taken(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    serve.main([str(site), str(port)])
    assert capsys.readouterr().out.startswith(f"The book is at http://127.0.0.1:{port}/")


def test_without_a_book_it_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="run 'make book' first"):
        serve.main([str(tmp_path), "0"])
