"""Runs the command without starting Python anew: forks a process that has imported every module.

Starting Python and importing takes nine tenths of the processor time of a short command. Each run
is still a process, with its own arguments, environment, folder, streams and exit code.
The code of ``command.environ_running`` runs in the fork, before the command.
``tests/cli/test_preloaded.py`` compares it with the command that users start. Tests of Python's
start, imports and encodings start the latter.
"""

from __future__ import annotations

import fcntl
import gc
import importlib
import json
import os
import pkgutil
import runpy
import select
import signal
import socket
import struct
import subprocess
import sys
import termios
import threading
import time
from contextlib import suppress
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import BinaryIO

# Python and the C library read these only when a process starts, and a fork the second ones.
_READ_AT_START = ("PYTHON", "LANG", "LC_", "LD_", "MALLOC")
_FOLDERS_OF_MODULES = "PYTHONPATH"
_ENCODING = "PYTHONIOENCODING"
_READ_IN_FORKS = (_FOLDERS_OF_MODULES, _ENCODING)
_NUMBER = struct.Struct("!i")


class Session(IntEnum):
    """The session of a process, and its terminal."""

    OF_THE_TESTS = 0
    NEW = 1
    NEW_WITH_TERMINAL = 2  # standard output: its Ctrl+C and its end send signals


class PreloadedProcess:
    """One run of the command; has what the tests use of `subprocess.Popen`."""

    stdin: BinaryIO | None = None
    stdout: BinaryIO | None = None
    stderr: BinaryIO | None = None

    def __init__(self, arguments: Sequence[str], status_file: BinaryIO) -> None:
        self.args = list(arguments)
        self.returncode: int | None = None
        self._status_file = status_file
        self._threads: list[threading.Thread] = []
        self._written: dict[BinaryIO | None, bytes] = {}
        (self.pid,) = _NUMBER.unpack(status_file.read(_NUMBER.size))

    def poll(self) -> int | None:
        """Return the exit code, negative for a signal; ``None`` while the command runs."""
        return self._poll(0)

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit code once the command has ended. Raises TimeoutExpired."""
        code = self._poll(timeout)
        if code is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0)
        return code

    def communicate(
        self, content: bytes = b"", timeout: float | None = None
    ) -> tuple[bytes, bytes]:
        """Write the input, and return what the command writes until it ends.

        Raises TimeoutExpired; the next call then returns all that was written.
        """
        assert self.stdin is not None
        if not self._threads:
            streams = (self.stdout, self.stderr)
            self._threads = [
                threading.Thread(target=_write, args=(self.stdin, content)),
                *(threading.Thread(target=self._read, args=(stream,)) for stream in streams),
            ]
            for thread in self._threads:
                thread.start()
        self.wait(timeout)
        for thread in self._threads:
            thread.join()
        return self._written[self.stdout], self._written[self.stderr]

    def _read(self, stream: BinaryIO | None) -> None:
        assert stream is not None
        with stream:
            self._written[stream] = stream.read()

    def send_signal(self, number: int) -> None:
        """Send a signal to the command if it runs."""
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        """Kill the command if it runs."""
        self.send_signal(signal.SIGKILL)

    def _poll(self, timeout: float | None) -> int | None:
        if self.returncode is None and select.select([self._status_file], [], [], timeout)[0]:
            (self.returncode,) = _NUMBER.unpack(self._status_file.read(_NUMBER.size))
            self._status_file.close()
        return self.returncode


class PreloadedCommand:
    """The process to fork, which starts when it is first needed and ends with the context."""

    def __init__(self, program: str) -> None:
        self._program = program
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None
        self._values_at_start: dict[str, str] = {}
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._socket is not None and self._process is not None:
            self._socket.close()
            errors = self._process.communicate()[1]
            assert not errors, errors.decode()

    def can_run(self, environ: Mapping[str, str]) -> bool:
        """Return whether this environment needs no Python started in it."""
        if sys.platform != "linux":  # macOS does not support a fork without an exec
            return False
        with self._lock:
            if self._process is None:
                self._values_at_start = _values_at_start(environ)
                if any(name.startswith("PYTHON") for name in self._values_at_start):
                    return False
                self._start(environ)
        return self._values_at_start == _values_at_start(environ)

    def start(
        self,
        arguments: Sequence[str],
        environ: Mapping[str, str],
        streams: tuple[int, int, int],
        session: Session = Session.OF_THE_TESTS,
    ) -> PreloadedProcess:
        """Start the command with these file descriptors as standard streams."""
        assert self._socket is not None
        command = [self._program, *arguments]
        request = json.dumps([command, dict(environ), str(Path.cwd()), session]).encode()
        reading, writing = os.pipe()
        with self._lock:
            header = _NUMBER.pack(len(request))
            socket.send_fds(self._socket, [header], [*streams, writing])
            self._socket.sendall(request)
        os.close(writing)
        return PreloadedProcess(command, os.fdopen(reading, "rb", buffering=0))

    def start_with_pipes(
        self, arguments: Sequence[str], environ: Mapping[str, str]
    ) -> PreloadedProcess:
        """Start the command with a pipe for each of its standard streams."""
        stdin, stdout, stderr = (os.pipe() for _ in range(3))
        theirs = (stdin[0], stdout[1], stderr[1])
        process = self.start(arguments, environ, theirs)
        for number in theirs:
            os.close(number)
        process.stdin, process.stdout, process.stderr = (
            os.fdopen(stdin[1], "wb", buffering=0),
            os.fdopen(stdout[0], "rb", buffering=0),
            os.fdopen(stderr[0], "rb", buffering=0),
        )
        return process

    def run(
        self, arguments: Sequence[str], environ: Mapping[str, str], stdin: bytes, timeout: float
    ) -> subprocess.CompletedProcess[bytes]:
        """Run the command to its end; raises TimeoutExpired after killing it."""
        process = self.start_with_pipes(arguments, environ)
        try:
            output, errors = process.communicate(stdin, timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise
        return subprocess.CompletedProcess(process.args, process.wait(), output, errors)

    def _start(self, environ: Mapping[str, str]) -> None:
        self._socket, theirs = socket.socketpair()
        with theirs:
            # -P: the folder of this file is not one to import modules from.
            self._process = subprocess.Popen(
                [sys.executable, "-P", __file__, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                env={name: environ[name] for name in environ if name not in _READ_IN_FORKS},
                cwd="/",
                pass_fds=[theirs.fileno()],
            )


def _values_at_start(environ: Mapping[str, str]) -> dict[str, str]:
    return {
        name: environ[name]
        for name in environ
        if name.startswith(_READ_AT_START) and name not in _READ_IN_FORKS
    }


def _write(file: BinaryIO, content: bytes) -> None:
    left = memoryview(content)
    try:
        while left:
            left = left[file.write(left) :]
    except BrokenPipeError:  # the command does not read all of it
        pass
    file.close()


# --- in the process that forks -------------------------------------------------------------------


def _import_everything() -> None:
    package = importlib.import_module("claude_usage_monitor")
    for module in pkgutil.walk_packages(package.__path__, "claude_usage_monitor."):
        if not module.name.endswith("__main__"):  # which runs the command
            importlib.import_module(module.name)
    assert threading.active_count() == 1, "a fork copies only one thread"
    gc.collect()
    gc.freeze()


def _fork_for_each_request(requests: socket.socket) -> Any:
    """Return each request in a new process; return ``None`` after the last request."""
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    connection = requests.fileno()
    status_files: dict[int, int] = {}
    while True:
        ready, _, _ = select.select([connection, woken], [], [])
        if woken in ready:
            os.read(woken, 4096)
            _report_ended(status_files)
        if connection not in ready:
            continue
        header, given, _, _ = socket.recv_fds(requests, _NUMBER.size, 4)
        if not header:
            return None
        (size,) = _NUMBER.unpack(header)
        request = json.loads(_receive(requests, size))
        pid = os.fork()
        if pid == 0:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for number in range(3):
                os.dup2(given[number], number)
            for number in (*given, *status_files.values(), woken, wake):
                os.close(number)
            requests.close()
            return request
        status_file = given.pop()
        for number in given:
            os.close(number)
        os.write(status_file, _NUMBER.pack(pid))
        status_files[pid] = status_file


def _receive(connection: socket.socket, size: int) -> bytes:
    received = bytearray()
    while len(received) < size:
        received += connection.recv(size - len(received))
    return bytes(received)


def _report_ended(status_files: dict[int, int]) -> None:
    while status_files:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        status_file = status_files.pop(pid)
        os.write(status_file, _NUMBER.pack(os.waitstatus_to_exitcode(status)))
        os.close(status_file)


def _serve(descriptor: int) -> None:
    _import_everything()
    request = _fork_for_each_request(socket.socket(fileno=descriptor))
    if request is None:
        return
    sys.argv, environ, folder, session = request
    if session != Session.OF_THE_TESTS:
        os.setsid()
    if session == Session.NEW_WITH_TERMINAL:
        fcntl.ioctl(1, termios.TIOCSCTTY, 0)
    os.environ.clear()
    os.environ.update(environ)
    os.chdir(folder)
    time.tzset()
    _open_streams(environ.get(_ENCODING, ""))
    if _FOLDERS_OF_MODULES in environ:
        sys.path[:0] = environ[_FOLDERS_OF_MODULES].split(os.pathsep)
        _run_code_of_test()
    runpy.run_path(sys.argv[0], run_name="__main__")


def _run_code_of_test() -> None:
    """Import ``sitecustomize``; replace the functions of a module also where they were imported.

    Where Python starts anew, other modules import them by name only afterwards.
    """
    before = {
        name: dict(vars(module))
        for name, module in sys.modules.items()
        if name.startswith("claude_usage_monitor")
    }
    sys.modules.pop("sitecustomize", None)
    importlib.import_module("sitecustomize")
    for name, values in before.items():
        for key, old in values.items():
            new = getattr(sys.modules[name], key, None)
            if new is old or getattr(old, "__module__", None) != name:
                continue
            for other, others_values in before.items():
                if others_values.get(key) is old:
                    setattr(sys.modules[other], key, new)


def _open_streams(name_and_errors: str) -> None:
    """Open the standard streams as Python does when it starts."""
    name, _, errors = name_and_errors.partition(":")
    errors = errors or (not name and sys.stdout.errors) or "strict"
    encoding = name or sys.stdout.encoding
    streams = (("stdin", "r", errors), ("stdout", "w", errors), ("stderr", "w", "backslashreplace"))
    for number, (name, mode, on_error) in enumerate(streams):
        buffering = 1 if name == "stderr" else -1
        stream = open(number, mode, buffering, encoding, on_error)  # noqa: SIM115 - open until the process ends
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


if __name__ == "__main__":
    _serve(int(sys.argv[1]))
