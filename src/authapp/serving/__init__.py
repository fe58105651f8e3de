"""How gunicorn serves authapp: its settings, the worker, the logs, and the check before a start or reload.

Nothing here imports another module of authapp, Flask or SQLAlchemy. The gunicorn master imports this package; whatever
else it imported would stay stale through every reload, and gevent could no longer patch the sockets in it.
"""
