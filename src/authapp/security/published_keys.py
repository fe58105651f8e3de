"""Private keys that have been published: anyone can sign with them, so the service must not use them."""

PUBLISHED_THUMBPRINTS = frozenset(
    {
        "y_x3gCJnL6oKGBBIXScabduwxTVy2Wd2bzRVEUbdUzc",  # RFC 7515, appendix A.1 (HS256)
        "oKIywvGUpTVTyxMQ3bwIIeQUudfr_CkLMjCE19ECD-U",  # RFC 7515, appendix A.3 (ES256)
        "cn-I_WNMClehiVp51i_0VpOENW1upEerA8sEam5hn-s",  # RFC 7517, appendix A.1 (ES256)
        "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs",  # RFC 7517, appendix A.1 (RS256)
        "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k",  # RFC 8037, appendix A.1 (EdDSA)
        "LXkAyqcFEoI5pkMzfWjsAWbChzHfxtqD4Te31pAwA1s",  # "a-string-secret-at-least-256-bits-long"
        "3Sh8jwxtGAUg1j6_4BIuuT-0fsyXeym9VQpxNRGTJFs",  # "a-valid-string-secret-that-is-at-least-512-bits-..."
        "ZO1JhLfz75N2t14z_4VpKVWubWFfymASh75bBeK5As0",  # "your-256-bit-secret", twice
    }
)
"""JWK thumbprints (RFC 7638) of example keys from standards and from online JWT debuggers."""
