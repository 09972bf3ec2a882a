"""Put notebooks where a class gets them by link; students' own changes stay when they get more.

    python classroom/handout.py FOLDER [--message TEXT]

FOLDER holds what students see, for instance the copies that `python -m attn_utils.teach handout`
makes. It is committed to the repository `handout.git` in the folder of the class (CLASS_STATE,
/var/lib/attention-class); the links that are printed bring it into a student's folder.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote, urlencode

STATE = Path(os.environ.get("CLASS_STATE", "/var/lib/attention-class"))
ADDRESS = os.environ.get("CLASS_ADDRESS", "http://127.0.0.1:8000")
TARGET = "attention"  # the folder in a student's home


def publish(folder: Path, repository: Path, message: str) -> bool:
    """Commit a folder's present files to the repository; False if nothing has changed."""
    if not repository.exists():
        subprocess.run(["git", "init", "-q", "--bare", "-b", "main", repository], check=True)
    author = ["-c", "user.name=The class", "-c", "user.email=class@localhost"]
    git = ["git", *author, f"--git-dir={repository}", f"--work-tree={folder}"]
    subprocess.run([*git, "add", "--all", "."], check=True, cwd=folder)
    if (
        subprocess.run([*git, "diff", "--cached", "--quiet"], check=False, cwd=folder).returncode
        == 0
    ):
        return False
    subprocess.run([*git, "commit", "-q", "-m", message], check=True, cwd=folder)
    subprocess.run(["chmod", "-R", "a+rX", repository], check=True)
    return True


def link(notebook: str, repository: Path, address: str) -> str:
    """Return the address that brings the handout into a student's folder and opens a notebook."""
    query = {
        "repo": str(repository),
        "branch": "main",
        "targetPath": TARGET,
        "urlpath": f"lab/tree/{TARGET}/{quote(notebook)}",
    }
    return f"{address.rstrip('/')}/hub/user-redirect/git-pull?{urlencode(query)}"


def main() -> None:
    """Publish a folder and print a link for each notebook."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("folder", type=Path, help="the folder that students get")
    parser.add_argument("--message", default="Notebooks for the class", help="of the commit")
    options = parser.parse_args()
    notebooks = sorted(options.folder.glob("**/*.ipynb"))
    if not notebooks:
        sys.exit(f"folder: expected a folder with notebooks (.ipynb), got {options.folder}")
    repository = STATE / "handout.git"
    STATE.mkdir(parents=True, exist_ok=True)
    changed = publish(options.folder.resolve(), repository, options.message)
    print("Published." if changed else "Nothing has changed since the last time.")
    for notebook in notebooks:
        name = notebook.relative_to(options.folder).as_posix()
        print(f"{name}\n    {link(name, repository, ADDRESS)}")


if __name__ == "__main__":
    main()
