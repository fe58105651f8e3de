"""How gunicorn serves authapp: its settings, the worker, the logs, and the check before a start or reload.

The gunicorn master imports this package, and of the rest of authapp no more than ``start_check.MASTER_IMPORTS``
names: it forgets these at a reload, and whatever else it imported would stay stale. Nothing here imports Flask or
SQLAlchemy, in which gevent could no longer patch the sockets.
"""
