"""Second factors: what an account has, the login that asks for one, and how factors are added, removed and lost.

- ``services``: all of these, wired for one application
- ``kinds``: the registry of the kinds of factors, open to other packages
- ``builtin_kinds``: those of this package

The login in two steps:

- ``second_factors``: asks for the second factor, and completes the login or the step-up with it
- ``pending_logins``: the logins that wait for it
- ``enrolled``: which factors an account has

Changes of factors:

- ``factor_changes``: what every change asks for, and does to the account
- ``factor_resets``: removing factors of an owner who has lost them, or was robbed

Codes:

- ``totp``: one-time passwords (RFC 6238), as functions
- ``totp_factors``: the stored secrets
- ``totp_enrolment``: adding and removing an authenticator app
- ``recovery_codes``: making one's own anew
- ``recovery_code_proofs``: the stored codes, and using one
- ``stored_keys``: which encryption keys the stored secrets need
- ``reencryption``: encrypting them anew

Passkeys:

- ``passkeys``: those of one's own account
- ``passkey_options``: what a page passes to the authenticator
- ``passkey_challenges``: what an answer must be for, once
- ``passkey_proofs``: verifying an answer, and consuming it
- ``passkey_login``: logging in with a passkey alone, and stepping up with one
"""
