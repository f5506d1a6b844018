import threading

import pytest
import tiktoken

from pgmcp.tokens import TokenCounter, estimate_tokens

# OpenAI's pattern that splits a text. With single bytes as tokens, it makes an encoding without a download.
_PATTERN = (
    r"""[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|"""
    r"""\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"""
)


@pytest.fixture
def byte_encoding() -> tiktoken.Encoding:
    ranks = {bytes([value]): value for value in range(256)} | {b"or": 256, b"der": 257, b"de": 258}
    return tiktoken.Encoding(
        "bytes", pat_str=_PATTERN, mergeable_ranks=ranks, special_tokens={"<|endoftext|>": 300}
    )


def loaded(encoding: tiktoken.Encoding) -> TokenCounter:
    counter = TokenCounter("any", load=lambda model: encoding)
    assert counter.wait_until_loaded(5)
    return counter


def test_a_loaded_encoding_counts_exactly(byte_encoding: tiktoken.Encoding) -> None:
    assert loaded(byte_encoding).count("or 12") == len(byte_encoding.encode_ordinary("or 12"))


def test_special_tokens_in_a_text_are_ordinary_text(byte_encoding: tiktoken.Encoding) -> None:
    assert loaded(byte_encoding).count("<|endoftext|>") > 1


def test_the_encoding_of_the_configured_model_is_loaded(byte_encoding: tiktoken.Encoding) -> None:
    asked: list[str] = []

    def load(model: str) -> tiktoken.Encoding:
        asked.append(model)
        return byte_encoding

    counter = TokenCounter("gpt-4o-mini", load=load)
    counter.wait_until_loaded(5)
    counter.count("once")
    counter.count("twice")

    assert asked == ["gpt-4o-mini"]


def test_a_load_that_never_ends_leaves_estimates() -> None:
    release = threading.Event()

    def hang(model: str) -> tiktoken.Encoding:
        release.wait()
        raise OSError("released")

    counter = TokenCounter("any", load=hang)
    count = counter.count("SELECT 1")
    release.set()

    assert count == estimate_tokens("SELECT 1")


def test_a_load_that_fails_leaves_estimates() -> None:
    def fail(model: str) -> tiktoken.Encoding:
        raise OSError("no route to host")

    counter = TokenCounter("any", load=fail)

    assert not counter.wait_until_loaded(5)
    assert counter.count("SELECT 1") == estimate_tokens("SELECT 1")


def test_a_hanging_load_does_not_keep_the_process_alive() -> None:
    release = threading.Event()

    def hang(model: str) -> tiktoken.Encoding:
        release.wait()
        raise OSError("released")

    TokenCounter("any", load=hang).start_loading()
    loading = [thread for thread in threading.enumerate() if thread.name == "load-encoding"]
    release.set()

    assert loading
    assert all(thread.daemon for thread in loading)


@pytest.mark.parametrize(
    "text",
    ["a" * 900_000, " " * 900_000, "\n" * 900_000, "(" * 900_000, "9" * 900_000, "order " * 150_000],
    ids=["letters", "spaces", "line breaks", "brackets", "digits", "words"],
)
def test_a_long_repetitive_text_is_counted(text: str, byte_encoding: tiktoken.Encoding) -> None:
    assert loaded(byte_encoding).count(text) > 0


def test_a_text_longer_than_any_context_window_is_estimated(byte_encoding: tiktoken.Encoding) -> None:
    text = "x" * 1_000_001

    assert loaded(byte_encoding).count(text) == estimate_tokens(text)


@pytest.mark.parametrize("text", ["", "\ud800", "\x00", "<|endoftext|>", "\U0001f600"])
def test_any_text_can_be_counted(text: str, byte_encoding: tiktoken.Encoding) -> None:
    assert loaded(byte_encoding).count(text) >= 0
    assert estimate_tokens(text) >= 0


@pytest.mark.parametrize(
    ("text", "true_tokens"),
    [
        ("SELECT count(*) FROM orders WHERE status = 'shipped'", 12),
        ("2026-03-14 12:05:00+00 | 1234.56", 20),
        ("查询每个客户的订单总额", 8),
    ],
)
def test_an_estimate_is_not_below_what_the_tokenizer_says(text: str, true_tokens: int) -> None:
    assert estimate_tokens(text) >= true_tokens
