"""How gunicorn serves authapp: its settings, the worker, the logs, and the check before a start or reload.

Nothing here imports Flask, SQLAlchemy or another module of authapp but ``domain.ip_addresses``. The gunicorn master
imports this package; whatever else it imported would stay stale through every reload, and gevent could no longer patch
the sockets in it.
"""
