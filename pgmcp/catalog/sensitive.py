"""Which columns' values stay in the database, judged by their names."""

import re

from pgmcp.catalog.identifiers import split_words

# Anywhere in the name, because names are often glued together: "custemail", "cardnumber".
_ANYWHERE = re.compile(
    r"passw|passphrase|passport|secret|token|credential|api_?key|private_?key|e_?mail|phone|mobile|addr|postal|zip_?code|iban|card"
    r"|birth|surname|(first|last|middle|given|family|full|user)_?name|salary|diagnos|ethnic|religio|biometr"
)
# Only as a word of their own: "pin" is in "shipping", "ssn" in "processname".
_WORDS = (
    "pwd pass pin ssn sin cvv cvc key salt hash otp mfa tin vat nino nhs dob tel fax mail bic swift ip mac"
)
_AS_A_WORD = frozenset(_WORDS.split())


def looks_sensitive(column_name: str) -> bool:
    """Tell whether a column's name suggests secrets or personal data.

    It errs on the side of yes: a value list that is left out costs an answer a hint, one that is sent to the
    model's provider cannot be taken back.
    """
    words = split_words(column_name)
    return bool(_ANYWHERE.search(column_name.lower())) or not _AS_A_WORD.isdisjoint(words)
