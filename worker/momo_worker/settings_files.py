"""An environment and a current folder come in; the home, the config folder and the raw text of variables and files go out; judges no value.

Order: the environment, then `.env` in the home, then worker.toml. Nothing here is ever written.
"""

import difflib
import io
import os
import tomllib
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from dotenv.parser import parse_stream

from momo_worker.settings_problems import Problems
from momo_worker.settings_schema import PLACES, SECRET_KEYS, known_variables

PREFIX = "MOMO_"
_FILE = "_FILE"
_SECRET_FILE_BYTES_MAX = 65_536

#: Variables with our prefix that belong to the project's tests and are no settings.
_OF_THE_TESTS = frozenset({"MOMO_MTN_OPENAPI"})

_PACKAGE = Path(__file__).resolve().parent


def checkout() -> Path | None:
    """The folder of the repository when this runs from one, else None."""
    root = _PACKAGE.parents[1]
    return root if (root / "pyproject.toml").is_file() and (root / "config" / "worker.toml").is_file() else None


def shipped_config() -> Path:
    """The config that came with the code: in a wheel beside the modules, in a checkout at its top."""
    inside = _PACKAGE / "config"
    root = checkout()
    return root / "config" if root is not None and not inside.is_dir() else inside


def find_home(environ: Mapping[str, str], problems: Problems) -> Path:
    """MOMO_HOME, else the checkout's var/, else ~/.momo; always absolute, or another folder would be another ledger (L4)."""
    user_home = Path(environ.get("HOME") or Path.home())
    written = environ.get("MOMO_HOME")
    if written:
        home = expand(written, user_home, user_home)
        if not (written.startswith("~") or Path(written).is_absolute()):
            problems.add(
                "MOMO_HOME",
                f"{written!r} is relative, so that each folder would have a ledger of its own",
                "write it from / or from ~, such as /srv/momo",
            )
        return home
    root = checkout()
    return root / "var" if root is not None else user_home / ".momo"


def is_file(path: Path) -> bool:
    """As Path.is_file, which raises for names that are too long and for folders that are closed to us."""
    return os.path.isfile(path)  # noqa: PTH113 - see above


def expand(written: str, base: Path, user_home: Path) -> Path:
    """A path as written, from `~` or from `base`."""
    if written == "~" or written.startswith("~/"):
        return user_home / written[2:]
    return base / written


def find_config(variables: Mapping[str, str], home: Path, cwd: Path, problems: Problems) -> Path:
    """MOMO_CONFIG, else ./config if it holds worker.toml, else the shipped one."""
    written = variables.get("MOMO_CONFIG")
    if written:
        folder = expand(written, home, Path(variables.get("HOME") or Path.home()))
        if not is_file(folder / "worker.toml"):
            problems.add(
                "MOMO_CONFIG", f"{folder} holds no worker.toml", "name the folder that holds it, or leave it out"
            )
        return folder
    here = cwd / "config"
    return here if is_file(here / "worker.toml") else shipped_config()


def read_text(path: Path, where: str, problems: Problems, *, needed: bool = True) -> str | None:
    """A file's text; what keeps it from being read is a problem and never a traceback. Without need it may be missing."""
    try:
        return path.read_bytes().decode("utf-8-sig")
    except (FileNotFoundError, NotADirectoryError) as error:
        if needed:
            problems.add(where, f"{path} can't be read ({error.strerror})", "check the name, or create it")
    except OSError as error:
        problems.add(
            where, f"{path} can't be read ({error.strerror})", "check that it exists and that this user may read it"
        )
    except UnicodeDecodeError:
        problems.add(where, f"{path} is not UTF-8 text", "save it as UTF-8")
    except ValueError:
        problems.add(where, f"{str(path)!r} is no path", "take out the character that no path can have")
    return None


def read_toml(path: Path, problems: Problems) -> dict[str, Any]:
    text = read_text(path, path.name, problems)
    if text is None:
        return {}
    try:
        return tomllib.loads(text, parse_float=Decimal)
    except tomllib.TOMLDecodeError as error:
        problems.add(
            path.name, f"{path} is not TOML ({error})", "correct that line; text needs quotes, keys stand once"
        )
        return {}


def read_dotenv(home: Path, problems: Problems) -> dict[str, str]:
    """The MOMO_ variables of `.env` in the home; no file is no variables."""
    path = home / ".env"
    text = read_text(path, ".env", problems, needed=False)
    found: dict[str, str] = {}
    for binding in parse_stream(io.StringIO(text or "")):
        if binding.error or (binding.key is not None and binding.value is None):
            problems.add(f".env: line {binding.original.line}", "is not NAME=value", "correct it, or put a # before it")
        elif binding.key is not None and binding.value is not None and binding.key.startswith(PREFIX):
            found[binding.key] = binding.value
    if found.pop("MOMO_HOME", None):
        problems.add(".env: MOMO_HOME", f"stands in the file that is found by it ({path})", "set it in the environment")
    return found


def lay_over(
    sources: list[Mapping[str, str]], accounts: Mapping[str, Any], home: Path, problems: Problems
) -> dict[str, str]:
    """Our variables from several sources, the first strongest, `…_FILE` replaced by what the file holds; unknown names are problems.

    An empty variable counts as not there: that is how compose files pass on what nobody set.
    """
    known = known_variables(accounts)
    laid: dict[str, str] = {}
    for source in reversed(sources):
        ours = {name: text for name, text in source.items() if name.startswith(PREFIX) and text != ""}
        for name in sorted(ours.keys() - _OF_THE_TESTS - set(PLACES)):
            base = name.removesuffix(_FILE)
            if name in known:
                laid[name] = ours[name]
            elif base in known and known[base][-1] in SECRET_KEYS:
                if base in ours:
                    problems.add(name, f"is set beside {base}", "keep one of the two")
                laid[base] = _secret_from(home / ours[name], name, problems)
            else:
                problems.add(name, *_unknown(name, known))
    return laid


def _secret_from(path: Path, where: str, problems: Problems) -> str:
    if is_file(path) and path.stat().st_size > _SECRET_FILE_BYTES_MAX:
        problems.add(where, f"{path} is larger than any secret", "name the file that holds the secret and nothing else")
        return ""
    text = read_text(path, where, problems)
    if text is not None and not text.strip():
        problems.add(where, f"{path} is empty", "write the secret into it")
    return (text or "").strip()


def _unknown(name: str, known: Mapping[str, object]) -> tuple[str, str]:
    what = "is read by nothing"
    names = [*known, *PLACES, *(f"{base}{_FILE}" for base in known if known_secret(base))]
    near = difflib.get_close_matches(name.upper(), names, n=1, cutoff=0.6)
    if name.startswith("MOMO_ACCOUNTS__") and name.count("__") > 1:
        account = name.split("__")[1]
        if not any(candidate.startswith(f"MOMO_ACCOUNTS__{account}__") for candidate in known):
            return (
                "names an account that worker.toml doesn't",
                f"add [accounts.{account.lower()}] with its market to worker.toml",
            )
    return what, f"did you mean {near[0]}?" if near else "take it out; config/env.example lists what is read"


def known_secret(name: str) -> bool:
    """Whether a variable's value is a secret, by its last word."""
    return name.lower().endswith(tuple(SECRET_KEYS))
