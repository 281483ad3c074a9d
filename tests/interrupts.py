"""Ctrl-C in the process of the tests."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread

import pytest

LOOK_SECONDS = 0.01


@contextmanager
def interrupted_when(is_waiting: Callable[[], bool]) -> Iterator[None]:
    """A block that waits until Ctrl-C, which comes once `is_waiting` returns true, and that it must raise.

    A command that ran in this process, or who started it, may have set another handler.
    """
    over = Event()

    def interrupt() -> None:
        while not is_waiting():
            if over.wait(LOOK_SECONDS):
                return
        os.kill(os.getpid(), signal.SIGINT)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    thread = Thread(target=interrupt)
    thread.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            yield
    finally:
        over.set()
        thread.join()
        signal.signal(signal.SIGINT, before)
