"""How gunicorn serves authapp, from a checkout. The settings and their reasons are in ``authapp.serving.settings``.

To change one, assign it below, name it on gunicorn's command line or in ``GUNICORN_CMD_ARGS``; the last of them wins.
"""

from authapp.serving.settings import *  # noqa: F403
