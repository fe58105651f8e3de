"""Runs grants.sql, which is beside this file, by the role of the settings' database: the image has no psql."""

import pathlib

from sqlalchemy import create_engine

from authapp.extension import load_settings

grants = pathlib.Path(__file__).with_name("grants.sql").read_text()
# The address is read as the migrations read it, in whichever way it names its driver.
connection = create_engine(load_settings().database_url).raw_connection()
connection.cursor().execute(grants)
connection.commit()
