"""Second factors: what an account has, the login that asks for one, and how factors are added, removed and lost.

A login that has passed its first factor and needs a second one gets a challenge:

- ``second_factors.py``   asks for the second factor, and completes the login or the step-up with it
- ``challenges.py``       the logins that wait for it
- ``factor_changes.py``   what every added or removed factor does to the account
- ``factor_resets.py``    removing all factors: for an owner who lost them, or who was robbed
- ``enrolled.py``         which factors an account has
- ``totp_enrolment.py``   adding and removing an authenticator app
- ``recovery.py``         making recovery codes anew
- ``totp.py``             codes, the URI and the QR code for an app: pure functions
- ``totp_factors.py``     the rows of authenticator apps
- ``recovery_codes.py``   the rows of recovery codes, and how they are written and read
- ``stored_keys.py``      which encryption keys the rows need
- ``reencryption.py``     encrypting the rows anew after a rotation
"""
