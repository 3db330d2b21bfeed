"""config.toml: every key optional, a bad one is a warning and its default."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from decimal import Decimal

Mode = Literal["auto", "code", "console"]
ColorChoice = Literal["auto", "always", "never"]

LEAST_INTERVAL = 5
LONGEST_INTERVAL = 7 * 86_400  # nothing older than that is shown as present
_LEAST_FLOOR = 60
_MAX_BYTES = 1 << 20


class Settings(NamedTuple):
    """What config.toml can set, with its defaults."""

    interval: timedelta = timedelta(seconds=300)
    api_floor: timedelta = timedelta(seconds=180)
    user_agent: str | None = None
    email: str | None = None
    monthly_budget: Decimal | None = None
    mode: Mode = "auto"
    ascii: bool = False
    color: ColorChoice = "auto"


def load_settings(path: Path) -> tuple[Settings, tuple[str, ...]]:
    """Return the settings in a file, and a warning for each thing in it that was not usable.

    A file that does not exist gives the defaults and no warning.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        return Settings(), ()
    except OSError as error:
        return Settings(), (f"{path} cannot be read ({error.strerror}); using the defaults",)
    if len(content) > _MAX_BYTES:
        return Settings(), (f"{path} is larger than a mebibyte; using the defaults",)
    import tomllib  # 13 ms that only those with a config.toml pay
    from decimal import Decimal

    try:
        table = tomllib.loads(content.decode("utf-8-sig"), parse_float=Decimal)
    except (ValueError, ArithmeticError, RecursionError) as error:
        return Settings(), (f"{path} is not TOML ({error}); using the defaults",)
    return _settings_from(table, str(path))


def _settings_from(table: Mapping[str, object], place: str) -> tuple[Settings, tuple[str, ...]]:
    # msgspec checks each value by itself, against the type and bounds written here.
    from decimal import Decimal
    from typing import Annotated

    from msgspec import Meta, ValidationError, convert

    types: dict[str, object] = {
        "interval": Annotated[float, Meta(ge=LEAST_INTERVAL, le=LONGEST_INTERVAL)],
        "api_floor_seconds": Annotated[float, Meta(ge=_LEAST_FLOOR, le=LONGEST_INTERVAL)],
        "user_agent": Annotated[str, Meta(pattern=r"^[\x21-\x7e][\x20-\x7e]{0,199}$")],
        "email": Annotated[str, Meta(min_length=3, max_length=254)],
        "monthly_budget": Annotated[float, Meta(gt=0, le=1e12)],
        "mode": Mode,
        "ascii": bool,
        "color": ColorChoice,
    }
    found: dict[str, object] = {}
    warnings = []
    for key, written in table.items():
        if key not in types:
            warnings.append(f"{place}: unknown key {key!r}; ignored")
            continue
        value = float(written) if isinstance(written, Decimal) else written
        try:
            found[key] = convert(value, types[key])
        except ValidationError as error:
            warnings.append(f"{place}: {key}: {error}; using the default")
    for key, name in (("interval", "interval"), ("api_floor_seconds", "api_floor")):
        if key in found:
            found[name] = timedelta(seconds=float(str(found.pop(key))))
    if "monthly_budget" in found:
        found["monthly_budget"] = Decimal(str(table["monthly_budget"]))  # exact, as it is written
    return Settings(**found), tuple(warnings)  # type: ignore[arg-type] # checked by convert
