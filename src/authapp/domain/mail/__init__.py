"""Mail: storing and sending it, whatever it is about. What people do with addresses and links is in ``domain/email``.

How a mail is stored:

- ``outbox``: the table, and who has claimed what of it
- ``counted_mails``: mails that are counted by address, such as those that guests request
- ``account_mails``: what tells an owner what happened, counted unless the address is verified
- ``statements``: a mail that is stored as a part of another statement
- ``kinds``: the open list of kinds of mail
- ``recipients``: which account gets a mail, and at which address
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
- ``transports``: what takes a message, and fails in three ways; their open list
- ``smtp``, ``smtp_client``, ``smtp_failures``: the one for mail servers
- ``local_transports``: those for people who develop
- ``services``: all of these, as the settings say
"""
