"""Templates of ``--format``: the fields of the JSON document in braces, as in `str.format`.

``{five_hour.utilization}``, ``{windows[seven_day:fable].utilization!c:.0f}``, ``{problem.code}``. A
field is a path of JSON keys, never an attribute or an index of a Python object.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta

from claude_usage_monitor.errors import InvalidSetting, UsageMonitorError
from claude_usage_monitor.formats.json_document import document
from claude_usage_monitor.formats.json_schema import ACCOUNT, DOCUMENT, WINDOW, Schema
from claude_usage_monitor.formats.options import FormatOptions
from claude_usage_monitor.formats.statusline import unknown
from claude_usage_monitor.formats.targets import TARGETS, Style
from claude_usage_monitor.light_typing import NamedTuple, cast
from claude_usage_monitor.suggestions import did_you_mean
from claude_usage_monitor.usage.durations import calendar_day, clock_time, countdown
from claude_usage_monitor.usage.limits.windows import percent_text, severity_of
from claude_usage_monitor.usage.money.money import money
from claude_usage_monitor.usage.status import AccountStatus

_WINDOW_KEYS = ("five_hour", "seven_day")  # what a window's key starts with
_PATH = re.compile(r"(\w+)((?:\.\w+|\[[^\]]+\])*)")
_STEP = re.compile(r"\.(\w+)|\[([^\]]+)\]")
_HUGE_WIDTH = re.compile(r"\d{4}")  # would take all memory: a width of 10 billion is valid
_SAMPLE_TIME = datetime(2026, 1, 1)  # noqa: DTZ001 - only to try format specs
_HINT = "docs/outputs.md lists the fields; `claude-usage-monitor --json-schema` describes them."

Values = Mapping[str, object]


class _Field(NamedTuple):
    """A field of a template; ``schema`` describes its value."""

    path: tuple[str, ...]
    schema: Schema
    spec: str
    colored: bool


class Template(NamedTuple):
    """A parsed template: literal text and fields in turn, and the place it is written for."""

    target: str
    parts: tuple[str | _Field, ...]

    def render(
        self,
        statuses: Sequence[AccountStatus],
        now: datetime,
        options: FormatOptions,
        error: UsageMonitorError | None = None,
    ) -> str:
        """Return a line for each account that the target can show, or one for the error."""
        values = document(statuses, now, options.clock, error)
        accounts = cast("list[Values]", values["accounts"]) or [{}]
        if not TARGETS[self.target].accounts_on_lines:
            accounts = accounts[:1]
        return "\n".join(self._line({**values, **each}, now, options) for each in accounts)

    def _line(self, values: Values, now: datetime, options: FormatOptions) -> str:
        target = TARGETS[self.target]
        pieces = []
        for part in self.parts:
            if isinstance(part, str):
                pieces.append(part)
                continue
            container, value = _resolve(part.path, values)
            text = (
                unknown(options) if value is None else _text(part, value, container, now, options)
            )
            if options.ascii:
                text = text.encode("ascii", "replace").decode()
            text = target.escape(text)
            if part.colored and options.color and text:
                style = "dim" if value is None else _style(part.path, container, values)
                text = target.colored(text, style)
            pieces.append(text)
        return "".join(pieces)


def parse_template(text: str) -> Template:
    """Return the parsed template. Raises InvalidSetting that names what is wrong."""
    name, colon, rest = text.partition(":")
    if colon and name in TARGETS:
        return Template(name, tuple(_parts(rest)))
    return Template("plain", tuple(_parts(text)))


def _parts(text: str) -> Iterator[str | _Field]:
    try:
        pieces = list(string.Formatter().parse(text))
    except ValueError as error:
        raise InvalidSetting(
            f"The template is not valid: {error}.", "Write `{{` for a literal brace."
        ) from None
    for literal, name, spec, conversion in pieces:
        if literal:
            yield literal
        if name is not None:
            yield _field(name, spec or "", conversion)


def _field(name: str, spec: str, conversion: str | None) -> _Field:
    if conversion not in {None, "c"}:
        raise InvalidSetting(
            f"`!{conversion}` in the template is not a conversion.",
            "The only one is `!c`: in the color of the severity.",
        )
    matched = _PATH.fullmatch(name)
    if matched is None:
        raise _unknown_field(name)
    path = (matched[1], *(key or index for key, index in _STEP.findall(matched[2])))
    if len(path) == 1 and path[0].startswith(_WINDOW_KEYS) and "." in spec:
        key, _, field = f"{name}:{spec}".rpartition(".")
        raise InvalidSetting(
            f"`{{{name}:{spec}}}` in the template is not a field.",
            f"Write `{{windows[{key}].{field}}}` for a window key with a colon.",
        )
    schema = _schema_of(path, name)
    try:
        _check_spec(spec, schema)
    except ValueError as error:
        raise InvalidSetting(
            f"`:{spec}` in the template does not fit {name}: {error}.",
            "Format specs are Python's: `:.1f` for numbers, `:%H:%M` for times.",
        ) from None
    return _Field(path, schema, spec, conversion == "c")


def _check_spec(spec: str, schema: Schema) -> None:
    """Raise ValueError if a format spec does not fit the values of a schema."""
    if "format" in schema:
        if spec and "%" not in spec:
            raise ValueError("it shows no part of the time")
    elif _HUGE_WIDTH.search(spec):
        raise ValueError("its width or precision is over 999")
    format(_sample(schema), spec)


def _schema_of(path: tuple[str, ...], name: str) -> Schema:
    """Return the schema of a single value. Raises InvalidSetting for anything else."""
    properties = _properties(DOCUMENT) | _properties(ACCOUNT)
    first, *steps = path
    if first == "binding" or first.startswith(_WINDOW_KEYS):
        schema: Schema = WINDOW
    elif first in properties and first != "accounts":
        schema = properties[first]
    else:
        raise _unknown_field(name)
    for step in steps:
        items = schema.get("items")
        if items is not None and "key" in _properties(cast("Schema", items)):
            schema = cast("Schema", items)
        elif step in _fields(schema):
            schema = _fields(schema)[step]
        else:
            raise _unknown_field(name)
    if "properties" in schema or "items" in schema:
        inside = ", ".join(_fields(schema)) or "a list"
        raise InvalidSetting(f"`{{{name}}}` in the template is not one value: {inside}.", _HINT)
    return schema


def _properties(schema: Schema) -> dict[str, Schema]:
    return cast("dict[str, Schema]", schema.get("properties", {}))


def _fields(schema: Schema) -> dict[str, Schema]:
    """Return the fields of an object; a window has one more than in the JSON document."""
    fields = _properties(schema)
    return {**fields, "remaining": fields["utilization"]} if schema is WINDOW else fields


def _unknown_field(name: str) -> InvalidSetting:
    known = [*_names(DOCUMENT), *_names(ACCOUNT)]
    known += [f"{key}.{field}" for key in (*_WINDOW_KEYS, "binding") for field in _fields(WINDOW)]
    meant = did_you_mean(name, known) or "."
    key, _, field = name.partition(".")
    if meant == "." and field in _fields(WINDOW):
        hint = f"Write `{{windows[{key}].{field}}}` for a window with another key."
        return InvalidSetting(f"`{{{name}}}` in the template is not a field.", hint)
    return InvalidSetting(f"`{{{name}}}` in the template is not a field{meant}", _HINT)


def _names(schema: Schema, prefix: str = "") -> Iterator[str]:
    """Yield the paths of all values in an object, without those in lists."""
    for name, inner in _properties(schema).items():
        if "properties" in inner:
            yield from _names(inner, f"{prefix}{name}.")
        elif "items" not in inner:
            yield prefix + name


# --- values --------------------------------------------------------------------------------------


def _resolve(path: tuple[str, ...], values: Values) -> tuple[Values, object]:
    """Return the object that contains a field, and its value; both are empty if it is missing."""
    first, *steps = path
    found: object = values
    container: Values = {}
    if first == "binding":
        found = next((window for window in _windows(values) if window["binding"]), None)
    elif first in values:
        container, found = values, values[first]
    else:
        found = _with_key(_windows(values), first)
    for step in steps:
        if isinstance(found, list):
            found = _with_key(found, step)
        elif isinstance(found, Mapping):
            container = found
            found = _remaining(found) if step == "remaining" else found.get(step)
        else:
            return {}, None
    return container, found


def _windows(values: Values) -> list[Values]:
    return cast("list[Values]", values.get("windows", []))


def _with_key(rows: Sequence[Values], key: str) -> Values | None:
    return next((row for row in rows if row["key"] == key), None)


def _remaining(window: Values) -> float | None:
    utilization = cast("float | None", window["utilization"])
    return None if utilization is None else max(0.0, 100.0 - utilization)


def _style(path: tuple[str, ...], container: Values, values: Values) -> Style:
    """Return the severity of the window or amount that a field belongs to, else the binding one."""
    if path[0] == "problem":
        return "problem"
    if "utilization" not in container:
        container, _ = _resolve(("binding", "utilization"), values)
    utilization = cast("float | None", container.get("utilization"))
    return "dim" if utilization is None else severity_of(utilization).value


def _text(
    field: _Field, value: object, container: Values, now: datetime, options: FormatOptions
) -> str:
    """Return a known value by the field's format spec; without one, as the dashboard words it."""
    schema, name = field.schema, field.path[-1]
    unit = schema.get("x-unit")
    if isinstance(value, bool):
        return format(name if value else "", field.spec)
    if isinstance(value, str):
        if schema.get("format") == "date-time":
            moment = datetime.fromisoformat(value)
            if not field.spec:
                return clock_time(moment, now, options.clock)
            return format(moment.astimezone(options.clock.zone), field.spec)
        if schema.get("format") == "date":
            day = date.fromisoformat(value)
            return format(day, field.spec) if field.spec else calendar_day(day)
        return format(value, field.spec)
    number = cast("float", value)
    if field.spec:
        return format(float(number) if "number" in _types(schema) else number, field.spec)
    if unit == "percent":
        return f"{number:+.0f}" if name in {"pace_delta", "deviation"} else percent_text(number)
    if unit == "seconds":
        return countdown(timedelta(seconds=number))
    if unit == "currency":
        currency = cast("str | None", container.get("currency"))
        return money(number, currency, ascii_only=options.ascii)
    return str(number)


def _types(schema: Schema) -> Sequence[str]:
    types = schema["type"]
    return [types] if isinstance(types, str) else cast("list[str]", types)


def _sample(schema: Schema) -> object:
    """Return a value of the schema's type, to try a format spec before there are figures."""
    if "format" in schema:
        return _SAMPLE_TIME if schema["format"] == "date-time" else _SAMPLE_TIME.date()
    types = _types(schema)
    return 1.0 if "number" in types else 1 if "integer" in types else ""
