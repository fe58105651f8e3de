"""What gunicorn and the ``flask`` command load."""

import sys

from authapp import create_app
from authapp.config import SettingsError

try:
    app = create_app()
except SettingsError as error:
    sys.exit(str(error))
