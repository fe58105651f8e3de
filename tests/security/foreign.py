"""One hash of each format of other systems, made by the library of that system, of ``FOREIGN_PASSWORD``."""

import pytest

from authapp.security.foreign_hashes import argon2_hash, firebase_hash, pbkdf2_hash

FOREIGN_PASSWORD = "p\u00e4ssword of another \u2163"

SIGNER_KEY = "jxspr8Ki0RYycVU8zykbdLGjFQ3McFUH0uiiTvC8pVMXAn210wjLNmdZJzxUECKbm0QsEmYUSDzZvpjeJ9WmXA=="
FIREBASE = {
    "passwordHash": "kcRptv8P3/fPS16vD5CWdFiLrhrcTOhkVpiLo7py/1AiflC6u4kiWXcVTurTdFl3E8o3zInlQ4kf2fsSm1bJ7w==",
    "salt": "42xEC+ixf3L2lw==",
}
"""By firebase-scrypt 2.2.0."""

KEYCLOAK_SALT = "eaiXQzYqfs0VDYB53LyKOg=="
KEYCLOAK_SHA256 = "M0AyPXjwDvvKT7fV66IWJ9cba8pdFwW3QLfCAICJ2Xvk7nC/RTKHETCDO8SiH/eV3r8UnkWSumY3fwQZSJSJXQ=="
KEYCLOAK_SHA512 = "jWCdeHgb2coF0XvfoEdU5GFbd6HVQD/r0DT/32fdvpJcxNRtWJZaXlmCI/q2WANBaaBSLvFk2wEd+fmzfENRmA=="
"""By the JDK's ``SecretKeyFactory``, which Keycloak's providers call, at Keycloak's costs and lengths."""

KEYCLOAK_ARGON2_SALT = "uhfYpoeYD808RTRs8jEgIw=="
KEYCLOAK_ARGON2 = "aWR7LZrcOOrGulSkrpqRDO3FJ16s48xh0nASAxgBhrY="
"""By ``Argon2BytesGenerator`` of Bouncy Castle 1.72, which Keycloak's provider calls, at its costs and lengths."""

HASHES = {
    # Django 5.2.19
    "django pbkdf2_sha256": "pbkdf2_sha256$1000000$wHZkF0N3vhnF6RjIAH1IkL$n41n2Bi0BIkLjsL03dA5pL7nNBv1VPEktuRefTBiBfU=",
    "django pbkdf2_sha1": "pbkdf2_sha1$1000000$X6GXG5AL8qltaUsIXCGMdv$UXWLDEwG5qtwx5ghu/+DP3ob+mI=",
    "django bcrypt_sha256": "bcrypt_sha256$$2b$12$IMrcfVVmY6fsSDrze2fdeeqHiPy/GgrAT46ObTwGq1ibAcSbSZpNG",
    "django bcrypt": "bcrypt$$2b$12$UwGbf/KQzvEu4epLvqbzueDIpDS8t8.3oP9qlH9iyWHTgAflFhAXy",
    "django argon2": "argon2$argon2id$v=19$m=102400,t=2,p=8$OEg4YUVVMFdiSE9tQXhweVphTTFVRw"
    "$rkeyb3EnSvRAC1uC2q3+emjpYWqYE31AsPsuZbGC+vw",
    "django scrypt": "scrypt$16384$lpD8P4RcitPjRTU5kdDcHv$8$5$LhKTIcnMfEwAzXuSLOEW5IV1j8A5KQqnVheIkMG+tvwqS2dL7DGM1q"
    "rvpxWDOoPo/uAj9z3g+c8RBgsrZoAW7A==",
    # passlib 1.7.4
    "passlib pbkdf2_sha256": "$pbkdf2-sha256$29000$4rx3LuU8Z.z9X8uZ0zrn3A$fGkDvt/N4MwnLGe5FPh6hWXodndk63SHRORk/T0/1Tc",
    "passlib pbkdf2_sha512": "$pbkdf2-sha512$25000$hZAyppQSIoTQ2hujlFLqXQ$6lOUmTsACzHRdl1KqLTXsq.wFwQfvuK5E5iBW6oDn"
    "PAcWa6Huq5ePi7OWinwFKerQhU2gFkNFi3z2wSL/pM01g",
    "passlib pbkdf2_sha1": "$pbkdf2$131000$Q4jxvpcyxniPESLE.H/v3Q$nIjcJnyUqWlA9Syg6S4GoFb4Tt8",
    "passlib ldap_salted_sha1": "{SSHA}r7VL2LLd6tahD/uUd5c11/4E1+uKMQZg",
    "passlib scrypt": "$scrypt$ln=16,r=8,p=1$F4JQKuUcAwBAyBnjPIcQog$BU3Ky3XIlg8ZAeG9XQOChY6Lqqx/Nl2sn6cPohzCUf4",
    "passlib argon2": "$argon2id$v=19$m=65536,t=3,p=4$Vcp5z/mfM8Y4BwBgjHFOSQ$DqpBKWxaYUXKZeWDxUX3K/S4njY96t54vH2"
    "/mDLlAyw",
    # Werkzeug 3.1
    "werkzeug scrypt": "scrypt:32768:8:1$IFx7uewfWouToqgv$b60e01e444a9a7499dd997235d33630be3789c1077f9f6b6c84f62846fb93"
    "9521e1d1491b25f41fa378555be35c44aa96fb39bbaafcb2d4b4deec0fc9bcb35d5",
    "werkzeug pbkdf2": "pbkdf2:sha256:1000000$SUX08ndrX931zrRv$cf929f4417815407a27daa77da332612a58abe57bdc24cd22"
    "c0d1b9ef9"
    "b375e9",
    # PHP 8.2.36, whose password_hash() Laravel calls
    "laravel bcrypt": "$2y$12$cg4/UUhbSQa.9Y2v43XRz.zTXdjhGxj6177TzLEyeM1OHXOxrdqeW",
    "laravel argon2id": "$argon2id$v=19$m=65536,t=4,p=1$Zll6UXpVZ0NHMm0wc0Yvdw$2AoPYb6cXjurtcaqT9n/YwRSt6yD9VnTL"
    "Aq1JkDbaCw",
    # bcryptjs 3.0.3
    "auth0 bcrypt": "$2b$10$2k/V4cetQI9Aopa/rhuYZuprGPx2LisN6nLZancMC/mX53u21S.ti",
    # pgcrypto of PostgreSQL 15
    "supabase bcrypt": "$2a$10$F9r3jS6h7vtiwYDeVeKsk.RqIOGnozh1ZA96MdadHuPr1ep5n.WbO",
    # better-auth 1.7.25
    "better-auth scrypt": "8b2ef00995cf8e90e6ba5f42588f1f04:6f574f63b954b98697b79f4743fcebbc4d8eb7fa539db4209ec1"
    "9db64ab9a1f"
    "76946f9ee9e89566d93fe7182df47aae5107c2960a1fe0c2a49b1173f0f97786a",
    "firebase scrypt": firebase_hash(
        FIREBASE["passwordHash"], FIREBASE["salt"], signer_key=SIGNER_KEY, separator="Bw==", rounds=8, mem_cost=14
    ),
    "keycloak pbkdf2-sha256": pbkdf2_hash("sha256", 27_500, KEYCLOAK_SALT, KEYCLOAK_SHA256),
    "keycloak argon2": argon2_hash(
        "id",
        version=19,
        memory_kib=7_168,
        time_cost=5,
        parallelism=1,
        salt=KEYCLOAK_ARGON2_SALT,
        hashed=KEYCLOAK_ARGON2,
    ),
    "keycloak pbkdf2-sha512": pbkdf2_hash("sha512", 210_000, KEYCLOAK_SALT, KEYCLOAK_SHA512),
}


def compute_no_foreign_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the test fail if any function that computes hashes of other systems is called."""

    def fail(*_: object, **__: object) -> None:
        pytest.fail("a hash was computed")

    for name in ("bcrypt.checkpw", "hashlib.scrypt", "hashlib.pbkdf2_hmac", "argon2.PasswordHasher.verify"):
        monkeypatch.setattr(name, fail)
