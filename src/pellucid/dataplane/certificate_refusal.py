"""Why the other side's certificate was not taken, and whose clock to look at."""

from __future__ import annotations

import ssl

# Codes of OpenSSL: X509_V_ERR_CERT_NOT_YET_VALID, ..._HAS_EXPIRED; ..._SELF_SIGNED_CERT,
# SELF_SIGNED_CERT_IN_CHAIN, UNABLE_TO_GET_ISSUER_CERT_LOCALLY; CERT_SIGNATURE_FAILURE.
_NOT_YET_VALID, _EXPIRED = 9, 10
_OF_ANOTHER_AUTHORITY = (18, 19, 20, 7)


def is_of_another_authority(error: ssl.SSLCertVerificationError) -> bool:
    """Whether another authority than those that are trusted signed it."""
    return error.verify_code in _OF_ANOTHER_AUTHORITY


def refusal(error: ssl.SSLCertVerificationError) -> str:
    """A few words for people."""
    if is_of_another_authority(error):
        return "its certificate is of an authority that is not trusted here"
    match error.verify_code:
        case code if code == _NOT_YET_VALID:
            return "its certificate is not yet valid: the clock here is behind, or was ahead there"
        case code if code == _EXPIRED:
            return "its certificate has expired, or the clock here is ahead"
        case _:
            return f"its certificate is not valid: {error.verify_message}"
