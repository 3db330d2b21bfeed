# mypy: ignore-errors
"""Make synthetic Claude Code transcripts, and the truth about what they bill.

    python make.py OUT [--mb 50] [--files 100] [--seed 1] [--days 30] [--end YYYY-MM-DD]
                   [--truth FILE] [--readings FILE] [--check]

OUT becomes a config directory: set `CLAUDE_CONFIG_DIR=OUT`, or read `OUT/projects`. It must not
exist or be empty. Standard library only; the same arguments give the same bytes (and mtimes).
The truth is printed as JSON (or written to `--truth`):

    {"args", "files", "bytes", "lines", "traps": {name: how often},
     "total": C, "by_project": {root: C}, "by_session": {id: C + "project"}, "by_model": {name: C},
     "by_hour": {"2026-11-03T14": C}, "by_kind": {"main" | "subagent": C},
     "by_agent": {agent type: C}, "by_speed": {"standard" | "fast": C}}
    C = {"messages", "input", "output", "cache_read", "cache_write_5m", "cache_write_1h",
         "searches"}

One message is one answer of the API (one `message.id`), in any number of lines and
files. A project is the session's first `cwd`, a worktree folded into its repository, the drive
letter upper case. A subagent belongs to its parent's session and project. Hours are UTC, of the message's
first line. Advisor tokens are under the advisor's model and add no message.

`--readings FILE` writes what a monitor would have recorded meanwhile (JSON lines: `reading`, whole
percents, and at the end one `window` each with the truth: points by project, and `elsewhere`, the
points that no transcript here explains). `--check` reads OUT back with the rule of the facts file,
compares the sums, and adds "wrong": what the usual mistakes give, as a multiple of the truth.

Size and number are aims: a conversation is never cut off in the middle of an answer, two files (an
empty one, one without usage) come on top, and sessions that start before END may go on after it.
1000 MB in 2000 files takes half a minute (`--check`: as long again) and 100 MB of memory.

Everything is invented; shapes and sizes follow public surveys of real transcripts.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import sys
from collections import Counter, defaultdict
from datetime import UTC, datetime
from pathlib import Path

FIELDS = (
    "messages",
    "input",
    "output",
    "cache_read",
    "cache_write_5m",
    "cache_write_1h",
    "searches",
)
ATLAS, TREE = "/home/ada/work/atlas", "/.claude/worktrees/"
# where a session starts, its project, how often
PLACES = [
    (ATLAS, ATLAS, 30),
    (ATLAS + TREE + "fix-login", ATLAS, 12),
    (ATLAS + TREE + "a b", ATLAS, 4),
    ("/home/ada/work/atlas-docs", "/home/ada/work/atlas-docs", 8),  # both give the same folder
    ("/home/ada/work/atlas/docs", "/home/ada/work/atlas/docs", 6),
    ("/home/ada/très_grand.projet", "/home/ada/très_grand.projet", 10),
    ("/", "/", 2),
    ("C:\\Users\\Ada\\src\\orbit", "C:\\Users\\Ada\\src\\orbit", 14),
    ("c:\\Users\\Ada\\src\\orbit", "C:\\Users\\Ada\\src\\orbit", 5),
    ("/home/ada/notes", "/home/ada/notes", 9),
]
OPUS, SONNET, HAIKU = "claude-opus-5-5", "claude-sonnet-5-5", "claude-haiku-4-5-20251001"
FABLE = "claude-fable-5-1"
MODELS = [
    (OPUS, 50),
    (SONNET, 22),
    (FABLE, 10),
    ("claude-opus-5", 8),
    (HAIKU, 6),
    ("claude-sonnet-4-5-20250929", 4),
]
AGENTS = ["Explore", "general-purpose", "Plan", "test-runner"]
ZERO = {
    "input_tokens": 0,
    "output_tokens": 0,
    "cache_creation_input_tokens": 0,
    "cache_read_input_tokens": 0,
}
MAX_COPY = 60_000  # a copied conversation leaves longer lines out
B62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def q(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def stamp(at: float) -> str:
    text = datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def slug(cwd: str) -> str:
    return re.sub(r"[^A-Za-z0-9]", "-", cwd)


class World:
    """The random source, the text pool, the truth."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        words = [self.word() for _ in range(900)]
        self.pool = []
        for _ in range(96):
            text, gap = [], ""
            while sum(map(len, text)) < 4000:
                gap = self.rng.choice([" "] * 9 + ["\\n", "\\n    ", ' = \\"', '\\", ', " é→ "])
                text += [self.rng.choice(words), gap]
            self.pool.append("".join(text))
        # a transcript line inside a tool's answer: as bytes it looks like one, but it is text
        self.pool[0] += q(q({"type": "assistant", "usage": {"input_tokens": 999999}}))[1:-1]
        self.sums: dict[str, dict[str, Counter]] = defaultdict(lambda: defaultdict(Counter))
        self.project_of: dict[str, str] = {}
        self.billed: list[dict] = []
        self.traps: Counter[str] = Counter()

    def word(self) -> str:
        return "".join(self.rng.choice("etaoinshrdlu") for _ in range(self.rng.randint(2, 9)))

    def uuid(self) -> str:
        h = f"{self.rng.getrandbits(128):032x}"
        return f"{h[:8]}-{h[8:12]}-4{h[13:16]}-a{h[17:20]}-{h[20:]}"

    def name(self, prefix: str) -> str:
        return prefix + "".join(self.rng.choices(B62, k=22))

    def hex16(self) -> str:
        return f"{self.rng.getrandbits(64):016x}"

    def text(self, size: int) -> str:
        """About `size` characters, safe inside a JSON string."""
        if size < 4000:
            return self.rng.choice(self.pool[1:])[:size].rstrip('\\"') if size else ""
        return "".join(self.rng.choices(self.pool, k=max(1, size // 4000)))

    def pick(self, weighted: list[tuple]) -> tuple:
        return self.rng.choices(weighted, [w[-1] for w in weighted])[0]

    def size(self, median: float, sigma: float, most: int) -> int:
        return min(most, int(self.rng.lognormvariate(0, sigma) * median))

    def bill(self, talk: Talk, at: float, model: str, speed: str, counts: dict) -> None:
        if talk.gone:
            return
        c = Counter({f: counts.get(f, 0) for f in FIELDS})
        hour = datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H")
        for by, key in (
            ("total", ""),
            ("by_project", talk.project),
            ("by_session", talk.session),
            ("by_model", model),
            ("by_hour", hour),
            ("by_speed", speed),
            ("by_kind", "subagent" if talk.agent else "main"),
        ):
            self.sums[by][key].update(c)
        if talk.agent:
            self.sums["by_agent"][talk.agent_type].update(c)
        self.project_of[talk.session] = talk.project
        self.billed.append({"at": at, "model": model, "speed": speed, "project": talk.project, **c})


class Talk:
    """One conversation: what the lines of a file have in common, and what the model holds."""

    def __init__(self, w: World, at: float, place: tuple, parent: Talk | None = None) -> None:
        self.w, self.at, self.lines, self.bytes = w, at, [], 0
        self.home, self.project, self.gone = place[0], place[1], False
        self.cwd = self.home
        self.session = parent.session if parent else w.uuid()
        self.agent = "a" + w.hex16() if parent else ""
        self.agent_type = w.rng.choice(AGENTS) if parent else ""
        self.model = w.pick(MODELS)[0]
        self.version = f"2.1.{w.rng.choice([38, 92, 120, 149, 185, 213, 226, 234, 239])}"
        self.growing = w.rng.random() < 0.4  # lines of one message carry growing output counts
        self.type_first = w.rng.random() < 0.5  # the order of keys is no promise
        self.hour_cache = w.rng.random() < 0.85
        self.no_request = self.no_id = self.nested_only = self.nulls = False
        self.last = None
        self.context = self.fresh = 0
        self.limit = w.rng.choice([160_000, 160_000, 400_000, 850_000])

    def put(self, line: str) -> None:
        data = line.encode() + b"\n"
        self.lines.append(data)
        self.bytes += len(data)

    def line(self, kind: str, body: str, extra: str = "") -> str:
        uuid, parent = self.w.uuid(), self.last
        self.last = uuid
        head = (
            f'"parentUuid":{q(parent)},"isSidechain":{q(bool(self.agent))},'
            + (
                f'"agentId":"{self.agent}","attributionAgent":"{self.agent_type}",'
                if self.agent
                else ""
            )
            + f'"userType":"external","entrypoint":"cli","cwd":{q(self.cwd)},"sessionId":'
            f'"{self.session}","version":"{self.version}","gitBranch":"main"'
        )
        tail = f'"uuid":"{uuid}","timestamp":"{stamp(self.at)}"{extra}'
        if self.type_first:
            return f'{{"type":"{kind}",{tail},{head},{body}}}'
        return f'{{{head},{body},"type":"{kind}",{tail}}}'

    def user(self, size: int, tool: bool) -> None:
        """A prompt, or what a tool answered: its text is in the line twice."""
        w, text = self.w, self.w.text(size)
        if not tool:
            self.put(self.line("user", f'"message":{{"role":"user","content":"{text}"}}'))
            return
        body = (
            f'"message":{{"role":"user","content":[{{"tool_use_id":"{w.name("toolu_01")}",'
            f'"type":"tool_result","content":"{text}"}}]}}'
        )
        result = f'{{"stdout":"{text}","stderr":"","interrupted":false}}'
        chance = w.rng.random()
        if chance < 0.02:  # what the Agent tool returns repeats its last usage: not billable
            w.traps["usage in a tool result"] += 1
            result = (
                '{"status":"completed","totalTokens":48211,"totalDurationMs":90122,"usage":'
                '{"input_tokens":9,"output_tokens":1200,"cache_read_input_tokens":47002,'
                '"cache_creation_input_tokens":0},"content":[]}'
            )
        elif chance < 0.03:  # structured output of any tool can look like a transcript line
            w.traps["transcript line in a tool result"] += 1
            result = q(
                {
                    "type": "assistant",
                    "message": {
                        "id": "msg_01no",
                        "model": OPUS,
                        "usage": {"input_tokens": 999, "output_tokens": 999},
                    },
                }
            )
        self.put(self.line("user", body, f',"toolUseResult":{result}'))
        self.fresh += min(25_000, size // 4)

    def usage(self, c: dict, output: int, speed: str, more: str) -> str:
        flat = 0 if self.nested_only else c["cache_write_5m"] + c["cache_write_1h"]
        nested = (
            f',"cache_creation":{{"ephemeral_5m_input_tokens":{c["cache_write_5m"]},'
            f'"ephemeral_1h_input_tokens":{c["cache_write_1h"]}}}'
        )
        if self.nulls:
            return (
                f'{{"input_tokens":{c["input"]},"cache_creation_input_tokens":null,'
                f'"cache_read_input_tokens":null,"output_tokens":{output},'
                f'"service_tier":null,"speed":null,"iterations":null}}'
            )
        return (
            f'{{"input_tokens":{c["input"]},"cache_creation_input_tokens":{flat},'
            f'"cache_read_input_tokens":{c["cache_read"]}{nested},"output_tokens":{output},'
            f'"service_tier":"standard","speed":"{speed}"{more}}}'
        )

    def answer(self) -> None:
        """One answer of the API: one to six lines, tool results between and after them."""
        w, rng = self.w, self.w.rng
        idle = rng.expovariate(1 / 20) if rng.random() > 0.02 else rng.uniform(900, 9000)
        self.at += 2 + idle
        c = dict.fromkeys(FIELDS, 0)
        c["messages"], c["input"] = 1, rng.randint(1, 12)
        new = self.fresh + rng.randint(60, 900) + (18_000 if not self.context else 0)
        if self.context and idle < (3600 if self.hour_cache else 300):
            c["cache_read"] = self.context
        else:
            new += self.context
        c["cache_write_1h" if self.hour_cache else "cache_write_5m"] = new
        if self.hour_cache and rng.random() < 0.05:
            c["cache_write_5m"] = rng.randint(1, 3000)
        c["output"] = 1 + w.size(260, 1.2, 20_000)
        if self.nulls:
            c["cache_read"] = c["cache_write_5m"] = c["cache_write_1h"] = 0
        self.context += self.fresh + c["output"]
        self.fresh = 0
        fast = self.model.startswith("claude-opus-5") and rng.random() < 0.03 and not self.nulls
        speed = "fast" if fast else "standard"
        more, advice = "", {}
        if rng.random() < 0.01 and not self.nulls:
            c["searches"] = rng.randint(1, 4)
            more = f',"server_tool_use":{{"web_search_requests":{c["searches"]}}}'
        if rng.random() < 0.01 and not self.nulls:
            w.traps["advisor iteration"] += 1
            advice = {
                "type": "advisor_message",
                "model": FABLE,
                **ZERO,
                "output_tokens": 400,
                "input_tokens": 6000,
            }
            own = {"type": "message", **ZERO, "output_tokens": c["output"]}
            more += f',"iterations":{q([own, advice])}'
        mid = '"id":"' + w.name("msg_01") + '",' if not self.no_id else ""
        req = "" if self.no_request or self.no_id else f',"requestId":"{w.name("req_011")}"'
        count = 1 if self.no_id else rng.choices([1, 2, 3, 4, 6], [15, 50, 22, 9, 4])[0]
        first, seen = self.at, 0
        for i in range(count):
            last = i == count - 1
            seen = (
                c["output"]
                if last or not self.growing
                else min(c["output"], seen + rng.choice([0, 1, 3, 8]))
            )
            if i == 0 and count > 1 and rng.random() < 0.6:
                sign = "Ab3+/" * rng.randint(60, 300)
                block = f'{{"type":"thinking","thinking":"","signature":"{sign}=="}}'
            elif last and rng.random() < 0.25:
                block = f'{{"type":"text","text":"{w.text(w.size(500, 0.9, 8000))}"}}'
            else:
                block = (
                    f'{{"type":"tool_use","id":"{w.name("toolu_01")}","name":"Bash",'
                    f'"input":{{"command":"{w.text(w.size(220, 1.3, 30_000))}"}}}}'
                )
            message = (
                f'"message":{{"model":"{self.model}",{mid}"type":"message","role":"assistant",'
                f'"content":[{block}],"stop_reason":{q("tool_use" if last else None)},'
                f'"stop_sequence":null,"usage":{self.usage(c, seen, speed, more)}}}{req}'
            )
            self.put(self.line("assistant", message))
            self.at += rng.uniform(0.05, 4)
            if '"tool_use","id"' in block:
                self.user(w.size(900, 1.7, 900_000), tool=True)
        w.bill(self, first, self.model, speed, c)
        if advice:
            w.bill(self, first, FABLE, speed, {"input": 6000, "output": 400})
        if self.context > self.limit:
            self.put(
                self.line(
                    "system",
                    '"subtype":"compact_boundary","content":"Conversation '
                    f'compacted","compactMetadata":{{"trigger":"auto","preTokens":{self.context}}}',
                )
            )
            self.context = 0

    def noise(self) -> None:
        w, rng = self.w, self.w.rng
        kind = rng.randrange(7)
        if kind == 0:
            self.put(f'{{"type":"ai-title","aiTitle":"{w.text(40)}","sessionId":"{self.session}"}}')
        elif kind == 1:
            self.put(
                self.line(
                    "attachment",
                    '"attachment":{"type":"hook_success","content":"'
                    + w.text(w.size(700, 1, 9000))
                    + '"}',
                )
            )
        elif kind == 2:
            self.put(
                f'{{"type":"file-history-snapshot","messageId":"{w.uuid()}","snapshot":'
                f'{{"trackedFileBackups":{{}},"timestamp":"{stamp(self.at)}"}}}}'
            )
        elif kind == 3:
            self.put(
                f'{{"type":"queue-operation","operation":"enqueue","timestamp":"{stamp(self.at)}"'
                f',"sessionId":"{self.session}","content":"subagent_tokens: 48211"}}'
            )
        elif kind == 4:
            self.put(self.line("system", '"subtype":"turn_duration","durationMs":41230'))
        elif kind == 5:
            self.put(f'{{"type":"mode","mode":"normal","sessionId":"{self.session}"}}')
        else:
            w.traps["<synthetic> line"] += 1
            self.put(
                self.line(
                    "assistant",
                    f'"message":{{"id":"{w.uuid()}","model":"<synthetic>",'
                    '"role":"assistant","type":"message",'
                    '"content":[{"type":"text","text":"API Error"}],'
                    f'"stop_reason":"stop_sequence","usage":{q(ZERO)}}},"isApiErrorMessage":true',
                )
            )

    def run(self, budget: float) -> Talk:
        """A conversation of about so many bytes."""
        w, rng = self.w, self.w.rng
        while self.bytes < budget:
            self.user(w.size(160, 1.2, 9000), tool=False)
            if rng.random() < 0.05:
                self.at += rng.uniform(3600, 8 * 3600)
            for _ in range(rng.randint(1, 12)):
                self.answer()
                if rng.random() < 0.35:
                    self.noise()
                if self.bytes > budget:
                    break
            if rng.random() < 0.03:
                self.model = w.pick(MODELS)[0]
            if rng.random() < 0.05 and self.cwd.startswith(ATLAS) and not self.agent:
                w.traps["cwd changes"] += 1
                self.cwd = rng.choice([ATLAS, ATLAS + TREE + "late", ATLAS + "/src"])
        return self


def copied(source: Talk, budget: float, change: dict[bytes, bytes], prefix: bytes = b"") -> Talk:
    """The beginning of a conversation as another file repeats it: same ids, same usage."""
    new = Talk(source.w, source.at, (source.home, source.project))
    for data in source.lines:
        if new.bytes > budget:
            break
        if len(data) > MAX_COPY:
            continue
        for old, to in change.items():
            data = data.replace(old, to)
        data = b"{" + prefix + data[1:]
        new.lines.append(data)
        new.bytes += len(data)
    return new


class Tree:
    """The config directory."""

    def __init__(self, root: Path) -> None:
        self.root, self.files, self.bytes, self.lines = root / "projects", 0, 0, 0

    def write(self, path: str, lines: list[bytes], at: float) -> None:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        data = b"".join(lines)
        file.write_bytes(data)
        os.utime(file, (at, at))
        if path.endswith(".jsonl") and not path.endswith("journal.jsonl"):
            self.files, self.lines = self.files + 1, self.lines + data.count(b"\n")
            self.bytes += len(data)


def build(root: Path, mb: float, files: int, seed: int, days: int, end: datetime) -> dict:
    w, tree = World(seed), Tree(root)
    rng, stop = w.rng, end.timestamp()
    sizes = [rng.lognormvariate(0, 1.3) for _ in range(files)]
    total = sum(sizes)
    sizes = [s * mb * 1e6 / total for s in sizes]
    index = 0
    while tree.files < files:
        budget = sizes[tree.files]
        place = w.pick(PLACES)
        start = stop - rng.uniform(0.05, days) * 86400
        talk = Talk(w, start, place)
        folder = slug(talk.cwd)
        trap = index % 16
        talk.no_request = trap == 3
        talk.no_id = trap == 4 and index % 32 == 4
        talk.nested_only = trap == 5
        talk.nulls = trap == 6 and index % 32 == 6
        for name, on in (
            ("file without requestId", talk.no_request),
            ("file without ids", talk.no_id),
            ("cache write only nested", talk.nested_only),
            ("null counts", talk.nulls),
        ):
            w.traps[name] += on
        talk.gone = trap == 14 and tree.files < files - 1  # deleted; its subagents remain
        talk.run(1.6 * budget)
        lines, base = list(talk.lines), f"{folder}/{talk.session}"
        subs = rng.choices([0, 1, 2, 4, 9], [50, 16, 16, 12, 6])[0]
        subs = min(max(subs, trap in (2, 7, 9, 10, 14)), files - tree.files - 1)
        times = [talk.at]
        for n in range(subs):
            sub = Talk(w, talk.at - rng.uniform(0, max(1.0, talk.at - start)), place, talk)
            if rng.random() < 0.2 and talk.home.startswith("/h"):
                sub.cwd = talk.home + TREE + "agent-" + sub.agent[:8]
            if sub.model == FABLE or rng.random() < 0.4:
                sub.model = SONNET
            sub.run(0.7 * sizes[tree.files])
            times.append(sub.at)
            at = f"{base}/subagents/agent-{sub.agent}.jsonl"
            if trap == 10:
                at = f"{folder}/agent-{sub.agent[1:9]}.jsonl"  # where versions before 2.1 put them
                w.traps["subagent file beside the session"] += 1
            elif trap == 9:
                at = f"{base}/subagents/workflows/wf_{sub.agent[1:9]}/agent-{sub.agent}.jsonl"
                tree.write(
                    at.rsplit("/", 1)[0] + "/journal.jsonl",
                    [b'{"type":"started","key":"v2:0","agentId":"%s"}\n' % sub.agent.encode()],
                    sub.at,
                )
                w.traps["workflow agent"] += 1
            out = list(sub.lines)
            if trap == 7 and n == 0:  # it began with a copy of its parent's conversation
                flip = {
                    b'"isSidechain":false': b'"isSidechain":true,"agentId":"%s"'
                    % sub.agent.encode()
                }
                out = copied(talk, 90_000, flip).lines + out
                w.traps["parent copied into a subagent"] += 1
            tree.write(at, out, sub.at)
            tree.write(
                at[:-6] + ".meta.json",
                [
                    q(
                        {
                            "agentType": sub.agent_type,
                            "toolUseId": w.name("toolu_01"),
                            "spawnDepth": 1,
                        }
                    ).encode()
                ],
                sub.at,
            )
            if trap == 2:  # versions before 2.1.9x repeat a subagent's messages in the parent
                for data in [d for d in sub.lines if b'"usage":{' in d and len(d) < MAX_COPY][:20]:
                    lines.append(
                        b'{"type":"progress","data":{"type":"agent_progress","message":'
                        + data.rstrip()
                        + b'},"sessionId":"%s"}\n' % talk.session.encode()
                    )
                    w.traps["progress line with a subagent's message"] += 1
        if trap in (8, 11) and tree.files < files - 1:
            kind = "aside_question" if trap == 8 else "acompact"
            agent = f"{kind}-{w.hex16()}".encode()
            new = copied(
                talk,
                150_000,
                {b'"isSidechain":false': b'"isSidechain":true,"agentId":"%s"' % agent},
            )
            if trap == 8:  # replays answers under new request ids, with a larger cache read
                new.lines = [
                    re.sub(
                        rb'"requestId":"\w+"',
                        b'"requestId":"%s"' % w.name("req_011").encode(),
                        re.sub(rb'("cache_read_input_tokens":[1-9]\d*)', rb"\g<1>0", d),
                    )
                    for d in new.lines
                ]
            tree.write(f"{base}/subagents/agent-{agent.decode()}.jsonl", new.lines, talk.at + 5)
            w.traps[f"{kind} copy"] += 1
        if trap == 12:
            lines[len(lines) // 2 : len(lines) // 2] = [
                lines[0][:180] + b"\n",
                b"\n",
                b"\0" * 512 + b"\n",
            ]
            w.traps["broken line, empty line, NUL line"] += 1
            lines = [d[:-1] + b"\r\n" if i % 9 == 1 else d for i, d in enumerate(lines)]
        if trap in (1, 13):  # being written: the last line is not whole, and must wait
            w.traps["partial last line"] += 1
            part = next(d for d in talk.lines if b'"usage":{' in d)
            part = re.sub(rb'"id":"msg_\w+"', b'"id":"%s"' % w.name("msg_01").encode(), part)
            lines.append(part[: rng.randint(2, len(part) - 2)])
        if talk.gone:
            w.traps["main file deleted, subagents left"] += 1
        else:
            tree.write(f"{base}.jsonl", lines, talk.at)
        if trap in (0, 15) and tree.files < files:
            again = w.uuid()
            change = {talk.session.encode(): again.encode()}
            prefix = b""
            if trap == 15:
                prefix = b'"forkedFrom":{"sessionId":"%s","messageUuid":"%s"},' % (
                    talk.session.encode(),
                    w.uuid().encode(),
                )
            new = copied(talk, sizes[tree.files] / 2 + 60_000, change, prefix)
            new.session, new.model, new.at = again, talk.model, talk.at + 7200
            mark = len(new.lines)
            new.run(new.bytes + sizes[tree.files] / 2)
            w.traps["forked copy" if prefix else "resumed copy"] += 1
            w.traps["copied lines"] += mark
            tree.write(f"{folder}/{again}.jsonl", new.lines, new.at)
        index += 1
    tree.write("-home-ada-notes/" + w.uuid() + ".jsonl", [], stop)
    only = f'{{"type":"last-prompt","lastPrompt":"x","sessionId":"{w.uuid()}"}}\n'.encode()
    tree.write("-home-ada-notes/" + w.uuid() + ".jsonl", [only], stop)
    sums = {
        by: {k: dict(c) for k, c in sorted(rows.items()) if any(c.values())}
        for by, rows in w.sums.items()
    }
    for key, row in sums["by_session"].items():
        row["project"] = w.project_of[key]
    total = sums.pop("total")[""]
    truth = {
        "files": tree.files,
        "bytes": tree.bytes,
        "lines": tree.lines,
        "traps": dict(sorted((k, v) for k, v in w.traps.items() if v)),
        "total": total,
        **sums,
    }
    return {"truth": truth, "billed": w.billed}


def weight(row: dict) -> float:
    """What a message takes from the allowance, in the hidden world of these readings."""
    if row["speed"] == "fast":
        return 0.0  # paid for, not part of the subscription's windows
    rate = next(
        (r for n, r in (("fable", 20), ("opus", 10), ("sonnet", 5)) if n in row["model"]), 2
    )
    fresh = row["input"] + row["cache_write_5m"] + row["cache_write_1h"]
    return rate * (fresh + 5 * row["output"] + 0.003 * row["cache_read"])


def split(events: list[tuple], length: int, rolling: bool) -> list[list]:
    """Windows: [start, end, events]. Rolling ones start with a message, on the 10th minute."""
    found: list[list] = []
    for event in events:
        if not found or event[0] >= found[-1][1]:
            start = event[0] // 600 * 600
            if found and not rolling:
                start = found[-1][1] + (event[0] - found[-1][1]) // length * length
            found.append([start, start + length, []])
        found[-1][2].append(event)
    return found


def monitor(billed: list[dict], seed: int) -> list[dict]:
    rng = random.Random(seed + 1)
    events = sorted((b["at"], weight(b), b["project"], "fable" in b["model"]) for b in billed)
    local = split(events, 18_000, True)
    most = max(sum(e[1] for e in win[2]) for win in local)
    for start, stop, _ in local:  # the same account on another device, or on the web
        if rng.random() < 0.3:
            for _ in range(rng.randint(1, 12)):
                events.append(
                    (rng.uniform(start, stop), rng.uniform(0.002, 0.05) * most, None, False)
                )
        if rng.random() < 0.1:
            at = stop + rng.uniform(600, 30_000)
            events += [(at + 60 * i, 0.004 * most, None, False) for i in range(rng.randint(1, 20))]
    events.sort(key=lambda e: e[0])
    lines, ends = [], []
    for key, length, rolling, only in (
        ("five_hour", 18_000, True, False),
        ("seven_day", 604_800, False, False),
        ("seven_day:fable", 604_800, False, True),
    ):
        wins = split([e for e in events if e[3] or not only], length, rolling)
        cap = max((sum(e[1] for e in win[2]) for win in wins), default=1) / 97
        at, gap = (events[0][0] // 300 - 12) * 300, 0.0
        index = seen = 0
        used = 0.0
        while wins and at < events[-1][0] + 21_600:
            at += 300
            if at < gap:
                continue
            if rng.random() < 0.002:
                gap = at + rng.uniform(1800, 14_400)  # the monitor was not running
            while index < len(wins) and wins[index][1] <= at:
                index, seen, used = index + 1, 0, 0.0
            opened = index < len(wins) and wins[index][0] <= at and wins[index][2][0][0] <= at
            while opened and seen < len(wins[index][2]) and wins[index][2][seen][0] <= at - 45:
                used, seen = used + wins[index][2][seen][1] / cap, seen + 1
            reset = stamp(wins[index][1] + rng.uniform(-0.5, 0.5)) if opened else None
            lines.append(
                {
                    "type": "reading",
                    "key": key,
                    "read_at": stamp(at)[:-5] + "Z",
                    "utilization": float(int(used + 0.5)),
                    "resets_at": reset,
                    "source": "api",
                }
            )
        for start, stop, inside in wins:
            points: Counter = Counter()
            for e in inside:
                points[e[2]] += e[1] / cap
            other = points.pop(None, 0.0)
            ends.append(
                {
                    "type": "window",
                    "key": key,
                    "started_at": stamp(start),
                    "resets_at": stamp(stop),
                    "points": round(sum(points.values()) + other, 3),
                    "elsewhere": round(other, 3),
                    "by_project": {k: round(v, 3) for k, v in sorted(points.items())},
                }
            )
    return sorted(lines, key=lambda r: r["read_at"]) + ends


def fold(cwd: str) -> str:
    root = cwd.partition(TREE)[0]
    return root[0].upper() + root[1:] if root[1:2] == ":" else root


def read(root: Path) -> tuple[dict, dict]:
    """The reference reader: the sums by the rule, and what the usual mistakes give."""
    rows: dict[str, dict] = {}
    home: dict[str, str] = {}
    wrong: dict[str, dict] = defaultdict(dict)
    files = sorted((root / "projects").rglob("*.jsonl"), key=lambda f: (f.stat().st_mtime, f))
    for n, file in enumerate(files):
        sub = "subagents" in file.parts or file.name.startswith("agent-")
        replay = "aside_question-" in file.name or "acompact-" in file.name
        for number, data in enumerate(file.read_bytes().split(b"\n")[:-1]):
            if b'"cwd":' in data and not sub and file.stem not in home:
                home[file.stem] = json.loads(data)["cwd"]
            if b'"usage":{' not in data:
                continue
            try:
                line = json.loads(data)
            except ValueError:
                continue
            message = line.get("message")
            if line.get("type") != "assistant" or message.get("model") == "<synthetic>":
                continue
            use, key = message["usage"], message.get("id") or line["uuid"]
            nested = use.get("cache_creation") or {}
            hour = nested.get("ephemeral_1h_input_tokens") or 0
            c = {
                "messages": 1,
                "input": use["input_tokens"],
                "output": use["output_tokens"],
                "cache_read": use.get("cache_read_input_tokens") or 0,
                "cache_write_1h": hour,
                "cache_write_5m": max(
                    (use.get("cache_creation_input_tokens") or 0) - hour,
                    nested.get("ephemeral_5m_input_tokens") or 0,
                ),
                "searches": (use.get("server_tool_use") or {}).get("web_search_requests", 0),
            }
            advice = [i for i in use.get("iterations") or [] if i["type"] == "advisor_message"]
            pair = f"{key} {line.get('requestId')}"
            wrong["every line"][n, number] = wrong["last line of a file, files summed"][n, pair] = c
            wrong["first line wins"].setdefault(key, c)
            if not sub:
                wrong["main files only"][key] = c
            if (wrong["key with requestId"].get(pair) or c)["output"] <= c["output"]:
                wrong["key with requestId"][pair] = c
            rank = (sub or line["isSidechain"], replay, "forkedFrom" in line, n)
            new = {"rank": rank, "c": c, "at": line["timestamp"], "line": line, "advice": advice}
            old = rows.setdefault(key, new)
            output = max(c["output"], old["c"]["output"])
            at = min(old["at"], new["at"])
            if rank < old["rank"] or (rank == old["rank"] and c["output"] > old["c"]["output"]):
                old = rows[key] = new
            old["c"]["output"], old["at"] = output, at
    sums: dict[str, dict] = defaultdict(lambda: defaultdict(Counter))
    for key, row in rows.items():
        wrong["flat cache write only"][key] = row["c"]
        if not row["line"]["message"]["usage"]["cache_creation_input_tokens"]:
            wrong["flat cache write only"][key] = {
                **row["c"],
                "cache_write_5m": 0,
                "cache_write_1h": 0,
            }
        line, use = row["line"], row["line"]["message"]["usage"]
        session, agent = line["sessionId"], line.get("attributionAgent")
        project = fold(home.get(session) or line["cwd"])
        extra = [
            (i["model"], {"input": i["input_tokens"], "output": i["output_tokens"]})
            for i in row["advice"]
        ]
        for model, c in [(line["message"]["model"], row["c"]), *extra]:
            for by, key in (
                ("total", ""),
                ("by_project", project),
                ("by_session", session),
                ("by_model", model),
                ("by_hour", row["at"][:13]),
                ("by_speed", use.get("speed") or "standard"),
                ("by_kind", "subagent" if agent else "main"),
                ("by_agent", agent),
            ):
                if key is not None:
                    sums[by][key].update(Counter({f: c.get(f, 0) for f in FIELDS}))
    total = sums.pop("total")[""]
    factors = {}
    for name, found in sorted(wrong.items()):
        output = sum(c["output"] for c in found.values())
        tokens = sum(sum(c[f] for f in FIELDS[1:6]) for c in found.values())
        factors[name] = {
            "output": round(output / total["output"], 3),
            "all tokens": round(tokens / sum(total[f] for f in FIELDS[1:6]), 3),
        }
    return {"total": total, **sums}, factors


def same(truth: dict, found: dict) -> bool:
    good = True
    for by, rows in found.items():
        pairs = (
            [("", truth["total"], rows)]
            if by == "total"
            else [
                (k, truth[by].get(k, {}), rows.get(k, {})) for k in truth[by].keys() | rows.keys()
            ]
        )
        for key, want, have in pairs:
            if any(want.get(f, 0) != have.get(f, 0) for f in FIELDS):
                good = False
                print(f"differs: {by} {key}: {dict(want)} != {dict(have)}", file=sys.stderr)
    return good


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--mb", type=float, default=50)
    parser.add_argument("--files", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--days", type=float, default=30)
    parser.add_argument("--end", default="2026-11-20", help="sessions start before it")
    parser.add_argument("--truth", type=Path)
    parser.add_argument("--readings", type=Path)
    parser.add_argument("--check", action="store_true")
    args = parser.parse_args()
    if args.out.exists() and any(args.out.iterdir()):
        parser.error(f"{args.out} is not empty")
    end = datetime.fromisoformat(args.end).replace(tzinfo=UTC)
    made = build(args.out, args.mb, args.files, args.seed, args.days, end)
    truth = {
        "args": {k: getattr(args, k) for k in ("mb", "files", "seed", "days", "end")},
        **made["truth"],
    }
    if args.readings:
        rows = monitor(made["billed"], args.seed)
        args.readings.write_text("".join(json.dumps(r) + "\n" for r in rows))
    bad = False
    if args.check:
        found, truth["wrong"] = read(args.out)
        bad = not same(truth, found)
    text = json.dumps(truth, indent=1, ensure_ascii=False) + "\n"
    if args.truth:
        args.truth.write_text(text)
    else:
        sys.stdout.write(text)
    sys.exit(bad)


if __name__ == "__main__":
    main()
