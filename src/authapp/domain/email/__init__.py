"""Email: proofs of addresses, links in mails, and their delivery.

What people do, each with its file in ``api/`` and its tests in ``tests/api/``:

- ``email_verifications``: verifying an address, and no login before that where it is required
- ``verified_registrations``: registering where an address has to be verified
- ``password_resets``: another password, for who has lost it
- ``forced_resets``: an administrator has a user choose another password
- ``address_changes``: another address, asked for and confirmed
- ``address_undo``: the address before restored; its link goes to ``email_verifications``
- ``factor_undo``: second factors removed that somebody else has added; its link goes to ``email_verifications``
- ``login_links``: logging in with a link or a code

What these share:

- ``address_proofs``: what a link proves, and what it ends
- ``confirmations``: which of them confirms a token
- ``previous_addresses``: those that an account can get back
- ``requests``: mails that are requested, counted by address
- ``notices``: mails that tell owners what happened
- ``factor_notices``: the same about their second factors

How a mail is stored:

- ``outbox``: the table, and who has claimed what of it
- ``kinds``: whom each kind concerns, and which token it carries
- ``mail_context``: what a mail knows of its request
- ``ages``: how old mails get
- ``queue``: what waits, for operators

How it is sent:

- ``sender``: for as long as a process runs
- ``delivery``: a batch at a time
- ``attempts``: one mail, and what became of it
- ``one_time_secrets``: its token and its code
- ``messages``: its words, its link and its headers
- ``templates``: where the words are
- ``transports``: what takes a message, and fails in three ways
- ``smtp``, ``smtp_client``, ``smtp_failures``: the one for mail servers
- ``wiring``: all of these, as the settings say
"""
