"""Second factors: what an account has, the login that asks for one, and how factors are added, removed and lost.

- ``services``: all of these, wired for one application
- ``kinds``: the registry of the kinds of factors, open to other packages
- ``password_kind``: the password as one of them; the others are registered beside their code
- ``enrolled``: which factors an account has

The login in two steps, and the step-up:

- ``second_factors``: asks for the second factor, and completes the login with it
- ``pending_logins``: the logins that wait for it
- ``step_up_methods``: the methods by which a session is stepped up
- ``factor_attempts``: which attempts at a factor are accepted, and how wrong codes are counted

Changes of factors:

- ``factor_changes``: what every change asks for, and does to the account
- ``factor_resets``: removing factors of an owner who has lost them, or was robbed

Codes:

- ``totp``: one-time passwords (RFC 6238), as functions
- ``totp_factors``: the stored secrets
- ``totp_enrolment``: adding and removing an authenticator app
- ``totp_part``: the secret as a part of an account that moves
- ``recovery_codes``: the stored codes, and using one
- ``recovery_code_renewal``: making one's own anew
- ``stored_keys``: which encryption keys the stored secrets need
- ``reencryption``: encrypting them anew

Passkeys:

- ``passkeys``: those of one's own account
- ``passkey_options``: what a page passes to the authenticator
- ``passkey_challenges``: what an answer must be for, once
- ``passkey_assertions``: verifying an assertion, and using it
- ``passkey_login``: logging in with a passkey alone
"""
