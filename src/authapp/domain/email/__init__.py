"""Email: what people do with addresses and the links in mails. Storing and sending them is in ``domain/mail``.

What people do, each with its file in ``api/`` and its tests in ``tests/api/``:

- ``email_verifications``: verifying an address, and no login before that where it is required
- ``verified_registrations``: registering where an address has to be verified
- ``password_resets``: another password, for users who have lost theirs
- ``forced_resets``: an administrator has a user choose another password
- ``address_changes``: another address, asked for and confirmed
- ``address_undo``: the previous address restored; its link goes to ``email_verifications``
- ``factor_undo``: second factors removed that somebody else has added; its link goes to ``email_verifications``
- ``login_links``: logging in with a link or a code
- ``login_codes``: whose the code is, and how often it is guessed

What these share:

- ``address_proofs``: what a link proves, and what it ends
- ``link_confirmations``: which of them confirms a link
- ``previous_addresses``: those that an account can get back
- ``kinds``: the mails of this wing: whom each concerns, and which token it carries
- ``notices``: mails that tell owners what happened
- ``factor_notices``: the same about their second factors
- ``services``: all of these, wired for one application
"""
