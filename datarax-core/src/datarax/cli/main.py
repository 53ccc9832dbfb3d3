"""`main`: from arguments to a command, from its answer to text or JSON and an exit code.

0 is fine, 1 an answer of "no", 2 a mistake of the user's or of a plugin, 130 an interruption. A
command's module is imported when it is asked for, and jax by those commands alone that need it.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import sys
import traceback
import warnings
from collections.abc import Sequence
from typing import Any, NoReturn, TextIO

from datarax import __version__
from datarax.cli import output
from datarax.cli.answer import Answer
from datarax.cli.mistake import Mistake
from datarax.errors import DataraxError, listing, nearest

COMMANDS = {
    "sources": "the sources that are installed",
    "info": "what is known of a dataset, without reading its records",
    "head": "the first records of a dataset",
    "fetch": "bring a dataset onto this machine, and say what to copy to one without a network",
    "verify": "compare a dataset's local files with the hashes published for them",
    "doctor": "what is wrong with this installation, and how to mend it",
    "validate": "run the contract against an installed plugin",
    "new-plugin": "write a package for a source of your own",
}
FINE, NO, MISTAKE, INTERRUPTED = 0, 1, 2, 130


class Parser(argparse.ArgumentParser):
    """An argument parser that writes nothing and ends no process."""

    def __init__(self, prog: str, description: str, epilog: str = "") -> None:
        super().__init__(
            prog=prog,
            description=description,
            epilog=epilog,
            add_help=False,
            allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        self.add_argument("-h", "--help", action="store_true", help="show this help")
        self.add_argument("--json", action="store_true", help="answer in JSON")
        self.add_argument("--debug", action="store_true", help="show the traceback of an error")

    def error(self, message: str) -> NoReturn:
        raise Mistake(message, usage=self.format_usage())


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code.

    Args:
        argv: The arguments after the name of the program; those of this process unless given.
    """
    given = sys.argv[1:] if argv is None else list(argv)
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning
            return _run(given)
    except OSError as error:  # of writing; those of commands are told before
        output.say(f"the answer could not be written: {error}")
        return MISTAKE
    except KeyboardInterrupt:
        output.say("interrupted")
        return INTERRUPTED


def _run(given: list[str]) -> int:
    flags = argparse.Namespace(json="--json" in given, debug="--debug" in given)
    try:
        text, code = _answered(given, flags)
    except Mistake as error:
        return _mistake(flags, error.kind, str(error), error.usage)
    except (Exception, SystemExit) as error:  # noqa: BLE001  # a plugin may raise anything
        if flags.debug:
            traceback.print_exc()
        return _mistake(flags, type(error).__name__, _told(error))
    output.write(text)
    return code


def _answered(given: list[str], flags: argparse.Namespace) -> tuple[str, int]:
    """Return what to write to standard output, and the exit code."""
    name, rest = _command(given)
    answer = _without_command(rest) if name is None else _answer(name, rest)
    if isinstance(answer, str):
        return answer, FINE
    text = output.as_json(answer.data) if flags.json else answer.text(output.width())
    return text, FINE if answer.yes else NO


def _command(given: list[str]) -> tuple[str | None, list[str]]:
    """Return the command and the other arguments; flags may stand before it."""
    for place, word in enumerate(given):
        if not word.startswith("-"):
            if word not in COMMANDS:
                raise Mistake(
                    f"there is no command {word!r}; there are {listing(COMMANDS)}."
                    f"{nearest(word, COMMANDS)}"
                )
            return word, given[:place] + given[place + 1 :]
    return None, given


def _without_command(given: list[str]) -> str:
    parser = _top()
    asked = _parsed(parser, given)
    if asked.version:
        versions = {"datarax-core": __version__}
        return output.as_json(versions) if asked.json else f"datarax-core {__version__}\n"
    if asked.help:
        return parser.format_help()
    raise Mistake("which command?", usage=parser.format_help() + "\n")


def _answer(name: str, rest: list[str]) -> Answer | str:
    """Return a command's answer, or its help where that was asked for."""
    command: Any = importlib.import_module(f"datarax.cli.{name.replace('-', '_')}")
    parser = Parser(f"datarax {name}", command.__doc__.strip(), command.EPILOG)
    command.add_arguments(parser)
    if {"-h", "--help"} & set(rest):
        return parser.format_help()
    asked = _parsed(parser, rest)
    with contextlib.redirect_stdout(sys.stderr):  # what a plugin prints is no part of the answer
        answer: Answer = command.run(asked)
    return answer


def _parsed(parser: Parser, given: list[str]) -> argparse.Namespace:
    asked, unknown = parser.parse_known_args(given)
    if unknown:
        known = [option for action in parser._actions for option in action.option_strings]  # noqa: SLF001  # argparse lists them nowhere else
        hint = nearest(unknown[0], known) if unknown[0].startswith("-") else ""
        raise Mistake(f"unexpected {unknown[0]!r}.{hint}", usage=parser.format_usage())
    return asked


def _top() -> Parser:
    width = max(map(len, COMMANDS))
    lines = "\n".join(f"  {name:{width}}  {what}" for name, what in COMMANDS.items())
    parser = Parser(
        "datarax",
        "Any dataset by name, as JAX arrays.",
        f"commands:\n{lines}\n\nA URI is scheme:target[@revision][?key=value&...], for example "
        "hf:ylecun/mnist.\nExit codes: 0 fine, 1 the answer is no, 2 a mistake, 130 interrupted.\n"
        "`datarax COMMAND --help` says more of a command.",
    )
    parser.usage = "datarax [-h] [--version] [--json] [--debug] COMMAND ..."
    parser.add_argument("--version", action="store_true", help="show the version")
    return parser


def _mistake(flags: argparse.Namespace, kind: str, text: str, usage: str = "") -> int:
    output.say(text, before=usage)
    if flags.json:
        output.write(output.as_json({"error": {"type": kind, "message": text}}))
    return MISTAKE


def _told(error: BaseException) -> str:
    """Return the text of an error; one that is not datarax's own has its type before it."""
    if isinstance(error, DataraxError):
        return str(error)
    if isinstance(error, ImportError) and "datarax-core[testing]" in str(error):
        return str(error)
    said = f": {error}" if str(error) else ""
    return f"{type(error).__name__}{said} (--debug shows the traceback)"


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Write a warning as one line; where it was raised is no news to the user."""
    del category, filename, lineno, line
    output.say(f"warning: {message}", to=file)
