"""The errors that cross module borders. Each has a stable `code`; callers decide by type, people by message."""


class ExporterError(Exception):
    """Base of all typed errors. `code` is stable and goes into JSON answers and metrics."""

    code = "internal"


class ConfigError(ExporterError):
    """The configuration cannot be used. The message names the file, the path inside it and what is allowed."""

    code = "config"


class InvalidEvent(ExporterError):
    """An authenticated body that is not an event. Permanent: the same bytes fail again.

    `path` is the offending place in the body, such as `device.channel.engine`, or empty.
    """

    def __init__(self, code: str, message: str, path: str = "") -> None:
        super().__init__(f"{path}: {message}" if path else message)
        self.code = code
        self.path = path


class JournalUnavailable(ExporterError):
    """The journal cannot write or read now. Transient: the sender must retry."""

    code = "journal_unavailable"


class JournalDamaged(JournalUnavailable):
    """The journal's storage holds what it never wrote. Trying again does not help; the message says what does."""

    code = "journal_damaged"


class Overloaded(ExporterError):
    """More requests wait for the journal than it may queue. Transient."""

    code = "overloaded"


class ClockBehind(ExporterError):
    """A time seems to come from the future, but this machine's clock has gone back. Transient: it is set right soon."""

    code = "clock_behind"


class NotLeading(JournalUnavailable):
    """Another exporter leads by now; what only the leader may write was not written."""

    code = "not_leading"


class JournalDiverged(JournalUnavailable):
    """The journal has another past than the one that was applied: memory must be loaded anew."""

    code = "journal_diverged"
