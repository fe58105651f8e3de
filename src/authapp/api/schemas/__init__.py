"""Shapes of bodies, for marshmallow and for OpenAPI. They never touch the database; the rules are the domain's."""
