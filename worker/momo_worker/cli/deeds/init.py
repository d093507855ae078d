"""`momo init`: a folder comes in, config files and an .env to fill in go out. Overwrites nothing."""

import os
from pathlib import Path

from momo_worker.cli.saying import WrongUse, say, say_json
from momo_worker.settings_files import find_home, shipped_config
from momo_worker.settings_problems import Problems, SettingsError

_FILES = ("worker.toml", "markets.toml", "schedules.toml", "examples/salaries.csv", "examples/payers.csv")


def init(folder: str, *, as_json: bool) -> None:
    """Fill a home."""
    usual = _usual_home()
    home = (Path.cwd() / Path(folder).expanduser()).resolve() if folder else usual
    written: list[str] = []
    kept: list[str] = []
    for path, text, mode in _wanted(home):
        (written if _write_new(path, text, mode) else kept).append(str(path))
    if as_json:
        say_json({"home": str(home), "written": written, "kept": kept})
        return
    for name in written:
        say(f"written  {name}")
    for name in kept:
        say(f"kept     {name} (it was there)")
    if home != usual:
        say(f"Next:    export MOMO_HOME={home}")
    say(f"Then fill in {home / '.env'} and run: momo doctor")


def _usual_home() -> Path:
    problems = Problems()
    home = find_home(os.environ, problems)
    if problems.found:
        raise WrongUse(str(SettingsError(problems.found)))
    return home


def _wanted(home: Path) -> list[tuple[Path, str, int]]:
    shipped = shipped_config()
    files = [(home / "config" / name, (shipped / name).read_text(encoding="utf-8"), 0o644) for name in _FILES]
    example = (shipped / "env.example").read_text(encoding="utf-8")
    # Relative to the home, so that the folder may be moved as a whole.
    return [*files, (home / ".env", example.replace("#MOMO_CONFIG=\n", "MOMO_CONFIG=config\n"), 0o600)]


def _write_new(path: Path, text: str, mode: int) -> bool:
    """Write a file that isn't there; the mode holds from its first moment."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    except FileExistsError:
        return False
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    return True
