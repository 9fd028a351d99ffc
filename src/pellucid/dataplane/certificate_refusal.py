"""Why the other side's certificate was not taken, and whose clock to look at."""

from __future__ import annotations

import ssl

# Codes of OpenSSL: X509_V_ERR_CERT_NOT_YET_VALID, ..._HAS_EXPIRED; ..._SELF_SIGNED_CERT,
# SELF_SIGNED_CERT_IN_CHAIN, UNABLE_TO_GET_ISSUER_CERT_LOCALLY; CERT_SIGNATURE_FAILURE.
_NOT_YET_VALID, _EXPIRED = 9, 10
_OF_ANOTHER_AUTHORITY = (18, 19, 20, 7)


def refusal(error: ssl.SSLCertVerificationError) -> str:
    """A few words for people."""
    match error.verify_code:
        case code if code == _NOT_YET_VALID:
            return "its certificate is not yet valid: the clock here is behind, or was ahead there"
        case code if code == _EXPIRED:
            return "its certificate has expired, or the clock here is ahead"
        case code if code in _OF_ANOTHER_AUTHORITY:
            return "its certificate is of an authority that is not trusted here"
        case _:
            return f"its certificate is not valid: {error.verify_message}"
