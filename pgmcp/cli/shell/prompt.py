"""Reads a person's inputs at a prompt, with history, completion and colours."""

from collections.abc import Callable, Iterable
from contextlib import suppress

from prompt_toolkit import PromptSession
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document
from prompt_toolkit.filters import completion_is_selected, is_searching
from prompt_toolkit.history import History
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.lexers import DynamicLexer, Lexer, PygmentsLexer, SimpleLexer
from pygments.lexers.sql import PostgresLexer  # type: ignore[import-untyped]  # ships no type information

from pgmcp.cli.shell.completion import Candidate
from pgmcp.cli.shell.history import HistoryFile
from pgmcp.cli.shell.inputs import InputKind, is_complete, kind_of

Complete = Callable[[str, str], list[Candidate]]
"""Returns the candidates for the text before and after the cursor."""


class Prompt:
    """A prompt in the terminal.

    Args:
        remark: called once with a message if the history cannot be saved.
    """

    def __init__(self, history: HistoryFile, complete: Complete, remark: Callable[[str], None]) -> None:
        self._session: PromptSession[str] = PromptSession(
            history=_SavedHistory(history, remark),
            completer=_Completer(complete),
            complete_while_typing=False,
            key_bindings=_key_bindings(),
            lexer=DynamicLexer(self._choose_lexer),
            multiline=True,
            enable_suspend=True,
        )
        self._sql_lexer = PygmentsLexer(PostgresLexer)
        self._plain_lexer = SimpleLexer()

    async def read(self, database: str) -> str:
        """Return the next input.

        Raises:
            EOFError: Ctrl-D.
            KeyboardInterrupt: Ctrl-C.
        """
        sign = f"{database}=> "
        return await self._session.prompt_async(
            sign,
            prompt_continuation=f"{database}-> "[-len(sign) :],
            handle_sigint=False,  # in a raw terminal Ctrl-C is a key
        )

    def _choose_lexer(self) -> Lexer:
        text = self._session.default_buffer.text
        is_sql = bool(text.strip()) and kind_of(text) is InputKind.SQL
        return self._sql_lexer if is_sql else self._plain_lexer


def _key_bindings() -> KeyBindings:
    bindings = KeyBindings()

    @bindings.add("enter", filter=~completion_is_selected & ~is_searching)
    def _run_or_go_on(event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        if is_complete(buffer.text):
            buffer.validate_and_handle()
        else:
            buffer.newline(copy_margin=False)

    @bindings.add("enter", filter=completion_is_selected)
    def _take_completion(event: KeyPressEvent) -> None:
        event.current_buffer.complete_state = None

    @bindings.add("escape", "enter")
    def _new_line(event: KeyPressEvent) -> None:
        event.current_buffer.newline(copy_margin=False)

    return bindings


class _Completer(Completer):
    def __init__(self, complete: Complete) -> None:
        self._complete = complete

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        for each in self._complete(document.text_before_cursor, document.text_after_cursor):
            yield Completion(each.text, start_position=-each.replaces, display_meta=each.meaning)


class _SavedHistory(History):
    """The inputs of this shell, and those in the file."""

    def __init__(self, file: HistoryFile, remark: Callable[[str], None]) -> None:
        super().__init__()
        self._file = file
        self._remark: Callable[[str], None] | None = remark

    def load_history_strings(self) -> Iterable[str]:
        with suppress(OSError):
            return list(reversed(self._file.load()))
        return []

    def store_string(self, string: str) -> None:
        try:
            self._file.append(string)
        except OSError as error:
            if self._remark is not None:
                self._remark(f"the history is not saved: {(error.strerror or 'no reason given').lower()}")
            self._remark = None
