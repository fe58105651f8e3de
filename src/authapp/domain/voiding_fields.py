"""Which fields of an account void the links in its mails when they change, and with them the address it asked for.

A link proves an address, and stands for a password. It must not outlive a change by which somebody is kept out. Any
other change leaves it: whoever can change a field of yours could otherwise void the links that the owner needs.
"""

from authapp.registry import Registry

voiding_fields: Registry[str] = Registry(
    "field that voids links", r"[a-z][a-z_]{0,39}", "use 1 to 40 of a-z and _, such as phone_number."
)
"""Why the change of each field voids links, by the name that ``user_changing`` has for it.

Register a field of yours if somebody logs in or gets an account back with it.
"""

voiding_fields.register("email", "A link that was sent to the previous address is not its owner's any more.")
voiding_fields.register("password", "A new one shuts out whoever has a link.")
voiding_fields.register("status", "Disabling an account shuts out whoever has a link, also once it is enabled again.")
voiding_fields.register("factors", "Adding a factor, or removing one, shuts out whoever has a link.")


def voids_links(fields: set[str]) -> bool:
    """Tell whether a change of these fields of an account voids the links that were sent before."""
    return any(field in voiding_fields for field in fields)
