"""Options for events. Imports the standard library and ``core`` only."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from ...core.errors import InputError
from ...core.options import Options, configuration, option
from ...core.seconds import parse_duration, show_duration
from .rule import FORM, Rule


@configuration
class EventOptions(Options):
    """Which events there are, and where they are told.

    >>> EventOptions(when="car > 5% for 2s").rules[0].for_s
    2.0

    Raises:
        InputError: a rule has another form, an address can't be used, or something needs a rule.
    """

    when: tuple[str, ...] = option((), help=f"An event: {FORM}; and, or, < too. May be given several times.")
    hysteresis: float = option(
        0.2, help="How much below its limit a share must fall to end an event, percent of the limit.", percent=True,
        low=0, high=1,
    )  # fmt: skip
    events: Path | None = option(None, help="Append starts and ends here, as JSON lines.", metavar="FILE")
    mqtt: str | None = option(None, help="Send them to a broker: mqtt://[USER:PASSWORD@]HOST[:PORT]/TOPIC, or mqtts://.")
    webhook: str | None = option(None, help="Send them as POST requests: http://… or https://….")
    snapshots: Path | None = option(None, help="Keep the picture at the start of each event here.", metavar="FOLDER")
    clips: Path | None = option(None, help="Keep a video (.mp4) of each event here.", metavar="FOLDER")
    clip_before_s: float = option(
        5.0, help="What a clip shows before its event.", flag="--clip-before", parse=parse_duration, show=show_duration,
        low=0, high=60,
    )  # fmt: skip
    clip_after_s: float = option(
        5.0, help="What a clip shows after its event.", flag="--clip-after", parse=parse_duration, show=show_duration,
        low=0, high=600,
    )  # fmt: skip
    spool: Path | None = option(
        None, help="Folder in which messages wait until they are delivered. Default: ~/.local/state/seg-edge.",
        metavar="FOLDER",
    )  # fmt: skip

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The parsed rules."""
        return tuple(Rule.parse(text) for text in self.when)

    def check(self) -> None:
        names = [rule.name for rule in self.rules]
        twice = [name for name in names if names.count(name) > 1]
        if twice:
            raise InputError(f"`when`: expected rules of different names, got two of {twice[0]!r}")
        for name in ("events", "mqtt", "webhook", "snapshots", "clips"):
            if getattr(self, name) is not None and not self.when:
                raise InputError(f"`{name}`: there is no event to tell; state one with `when`, such as {FORM!r}")
        check_address("webhook", self.webhook, ("http", "https"), "https://host/path")
        check_address("mqtt", self.mqtt, ("mqtt", "mqtts"), "mqtt://host/topic")
        if self.mqtt is not None and not urlsplit(self.mqtt).path.strip("/"):
            raise InputError("`mqtt`: expected a topic after the host, such as mqtt://host/seg-edge/events")


def check_address(field: str, address: str | None, schemes: tuple[str, ...], such_as: str) -> None:
    """Raises InputError, naming the field, unless an address is None or has a scheme and a host."""
    if address is None:
        return
    try:
        parts = urlsplit(address)
        fits = parts.scheme in schemes and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        fits = False
    if not fits:
        raise InputError(f"`{field}`: expected an address such as {such_as}, got another form")
