"""Actions at the same moment, each on a thread with an application context of its own."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from flask import Flask

from authapp.errors import Refusal


def at_once(app: Flask, *actions: Callable[[], Any]) -> list[Any]:
    """Run the actions at the same moment; return what each returned, or the type of what it refused."""
    barrier = threading.Barrier(len(actions))

    def run(action: Callable[[], Any]) -> Any:
        with app.app_context():
            barrier.wait()
            try:
                return action()
            except Refusal as refusal:
                return type(refusal)

    with ThreadPoolExecutor(len(actions)) as pool:
        return list(pool.map(run, actions))
