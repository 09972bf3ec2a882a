"""The commands for teachers: ``python -m attn_utils.teach --help``."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return 1, and say why, if it could not be done."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.command(options))
    except (ValueError, OSError) as error:
        print(f"attn_utils.teach: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped; what is marked is kept, and the same command goes on", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m attn_utils.teach",
        description="Copies for students, marks for what they hand in, quizzes for a platform.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_handout(commands)
    _add_grade(commands)
    _add_quiz(commands)
    for command in commands.choices.values():
        command.add_argument(
            "--book",
            type=Path,
            default=REPOSITORY / "book",
            help="the folder of the book's notebooks (default: the repository's)",
        )
    return parser


def _add_handout(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = commands.add_parser(
        "handout",
        help="write copies for students, without solutions",
        description="Write copies of chapters for students: without solutions, with hints and "
        "checks. A copy says what to do if the book's package is missing.",
    )
    command.add_argument(
        "chapters", nargs="+", metavar="CHAPTER", help="3, 03-scoring-functions, or all"
    )
    _add_folder(command, "handout")
    command.set_defaults(command=_handout)


def _add_grade(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = commands.add_parser(
        "grade",
        help="mark a folder of submissions",
        description="Mark submissions with the book's own checks. Each runs in a process of its "
        "own, with limits. Writes marks.csv and a feedback page for each. Started again, it marks "
        "only what is new, and keeps the points that you have entered by hand.",
    )
    command.add_argument("folder", type=Path, help="anna.ipynb, …, or a folder for each student")
    _add_folder(command, "graded")
    command.add_argument("--class-list", type=Path, metavar="FILE", help="a name in each line")
    command.add_argument(
        "--seconds",
        type=_positive,
        default=20,
        help="for a cell, or a call of an answer (default: 20)",
    )
    command.add_argument(
        "--minutes", type=_positive, default=5, help="for a submission (default: 5)"
    )
    command.add_argument(
        "--megabytes", type=_positive, default=2048, help="of memory (default: 2048)"
    )
    command.add_argument(
        "--workers",
        type=_positive,
        default=max(1, min(8, (os.cpu_count() or 2))),
        help="submissions at once (default: as many as processors, at most 8)",
    )
    command.set_defaults(command=_grade)


def _add_quiz(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = commands.add_parser(
        "quiz",
        help="write the chapters' quizzes for a learning platform",
        description="Write the questions of the chapters' quizzes as QTI 2.1 packages and as "
        "Moodle XML, with their explanations.",
    )
    command.add_argument(
        "chapters",
        nargs="*",
        metavar="CHAPTER",
        default=["all"],
        help="3, 03-scoring-functions, or all (default)",
    )
    _add_folder(command, "quiz")
    command.set_defaults(command=_quiz)


def _add_folder(command: argparse.ArgumentParser, name: str) -> None:
    command.add_argument("--to", type=Path, default=Path(name), help=f"folder (default: {name})")


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected a number of at least 1, got {text}")
    return number


def _handout(options: argparse.Namespace) -> int:
    from .handout import write

    for path in write(options.book, options.chapters, options.to):
        print(path)
    return 0


def _grade(options: argparse.Namespace) -> int:
    from .grade import grade
    from .judge import Limits

    limits = Limits(float(options.seconds), 60.0 * options.minutes, options.megabytes)
    grade(
        options.folder,
        options.book,
        options.to,
        names=options.class_list,
        limits=limits,
        workers=options.workers,
        say=lambda line: print(line, flush=True),
    )
    return 0


def _quiz(options: argparse.Namespace) -> int:
    from .quiz import write

    for path in write(options.book, options.chapters, options.to):
        print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
