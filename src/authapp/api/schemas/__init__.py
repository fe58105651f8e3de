"""Schemas of bodies and queries, for marshmallow and OpenAPI. They do not use the database; rules are in the domain."""
