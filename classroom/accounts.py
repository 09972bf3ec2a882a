"""Make an account on this machine for each student of a class.

As root:

    python classroom/accounts.py class.csv --passwords passwords.csv

class.csv has the columns `login` and `name` (any others are passed over). An account that is there
already keeps its password and its files. The first passwords are written to a new file that only
root can read. A line that cannot be used is named, and the rest goes on.
"""

from __future__ import annotations

import argparse
import csv
import grp
import os
import pwd
import re
import secrets
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

GROUP = "class-students"
LOGIN = re.compile(r"[a-z][a-z0-9_-]{0,30}")  # what useradd takes everywhere
LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"  # none that looks like another


class Student(NamedTuple):
    """One line of the class list."""

    login: str
    name: str


def read_class(lines: Iterable[str]) -> tuple[list[Student], list[str]]:
    """Read a class list: its students, and a sentence for each line that cannot be used."""
    rows = csv.DictReader(lines)
    if not {"login", "name"} <= set(rows.fieldnames or ()):
        raise ValueError(f"class list: expected the columns login and name, got {rows.fieldnames}")
    students: dict[str, Student] = {}
    mistakes = []
    for row in rows:
        login, name = (row["login"] or "").strip(), (row["name"] or "").strip()
        where = f"line {rows.line_num}"
        if not LOGIN.fullmatch(login):
            mistakes.append(
                f"{where}: login: expected lower-case letters, digits, - and _, beginning with a "
                f"letter, at most 31, got {login!r}"
            )
        elif login in students:
            mistakes.append(f"{where}: login {login!r} is {students[login].name}'s already")
        elif any(c in name for c in ":\n"):
            mistakes.append(f"{where}: name: expected no colon and no line break, got {name!r}")
        else:
            students[login] = Student(login, name)
    return list(students.values()), mistakes


def is_account(login: str) -> bool:
    """Whether this machine has an account of that name."""
    try:
        pwd.getpwnam(login)
    except KeyError:
        return False
    return True


def add_account(student: Student, home: Path | None = None) -> str:
    """Make an account with a home that nobody else can read; return its password."""
    password = "".join(secrets.choice(LETTERS) for _ in range(12))
    where = ["--base-dir", str(home)] if home else []
    subprocess.run(
        [
            *["useradd", "--create-home", *where, "--key", "UMASK=077", "--key", "HOME_MODE=0700"],
            *["--comment", student.name, "--shell", "/bin/bash", "--groups", GROUP, student.login],
        ],
        check=True,
    )
    subprocess.run(["chpasswd"], input=f"{student.login}:{password}\n", text=True, check=True)
    return password


def main() -> int:
    """Read the class list, make the accounts, write the passwords; 1 if a line was not used."""
    parser = argparse.ArgumentParser(description=__doc__.partition(".")[0] if __doc__ else None)
    parser.add_argument("list", type=Path, help="CSV file with the columns login and name")
    parser.add_argument("--passwords", type=Path, default=Path("passwords.csv"), help="a new file")
    options = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("accounts are made by root: run this with sudo")
    try:
        with options.list.open(newline="", encoding="utf-8-sig") as file:
            students, mistakes = read_class(file)
        secret = os.open(options.passwords, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except (OSError, ValueError) as error:
        sys.exit(str(error))
    subprocess.run(["groupadd", "--force", GROUP], check=True)
    made = 0
    with os.fdopen(secret, "w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["login", "name", "password"])
        for student in students:
            if is_account(student.login):
                if student.login not in grp.getgrnam(GROUP).gr_mem:
                    mistakes.append(f"login {student.login!r} is an account outside the class")
                continue
            try:
                password = add_account(student)
            except subprocess.CalledProcessError:
                mistakes.append(f"login {student.login!r}: the machine made no account (see above)")
                continue
            table.writerow([*student, password])
            file.flush()  # whatever happens next, this password is kept
            made += 1
    print(f"{made} accounts made, {len(students) - made} left as they were or not made.")
    for mistake in mistakes:
        print(mistake, file=sys.stderr)
    return 1 if mistakes else 0


if __name__ == "__main__":
    sys.exit(main())
