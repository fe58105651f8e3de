"""Clients that log in without pause: ``python -m e2e.flood URL USERNAMES PASSWORD CLIENTS SECONDS``.

The usernames have commas between them; each belongs to as many of the clients as any other.
A process of its own, which gives way to all others: the clients of a real flood sit on machines of their own.
"""

import json
import os
import sys
import threading
import time
from collections import Counter

import requests


def main(url: str, usernames: list[str], password: str, clients: int, seconds: float) -> None:
    """Print how often which status was the answer, as JSON."""
    os.nice(19)
    end = time.monotonic() + seconds
    statuses: Counter[int] = Counter()
    lock = threading.Lock()

    def log_in(number: int) -> None:
        right = number % 8 != 0
        body = {"username": usernames[number % len(usernames)], "password": password if right else "a wrong guess"}
        with requests.Session() as session:
            while time.monotonic() < end:
                status = session.post(f"{url}/api/v1/auth/login", json=body, timeout=30).status_code
                with lock:
                    statuses[status] += 1
                time.sleep(0.05)  # a client that was refused is not one that spins

    threads = [threading.Thread(target=log_in, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    json.dump(statuses, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2].split(","), sys.argv[3], int(sys.argv[4]), float(sys.argv[5]))
