"""The ``flask`` commands of operators: arguments in, one domain call, words out."""
