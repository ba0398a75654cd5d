"""What can go wrong with an instance, as switches that a test turns while the server runs."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Faults:
    """Switches of one server; counts go down by one each time the fault happens, 0 is off."""

    history_delay: float = 0.0
    """Seconds between `execution_success` and the entry in the history."""
    lost_interrupts: int = 0
    """Cancels of a running prompt that are answered as if they worked, and forgotten."""
    failing_submits: int = 0
    """Submissions that are queued and answered with 500."""
    refused_submits: int = 0
    """Submissions that are answered with 500 and not queued."""
    silent_submits: int = 0
    """Submissions that are queued and never answered: the connection is cut."""
    vanishing_prompts: int = 0
    """Accepted prompts that are taken out of the queue without a word."""
    forgotten_histories: int = 0
    """Entries that are deleted from the history as soon as they are written."""
    deleted_outputs: int = 0
    """Runs whose output files are gone before anybody can fetch them."""
    failing_nodes: dict[str, str] = field(default_factory=dict)
    """Class name -> text of the exception that it raises."""
    out_of_memory: int = 0
    """Prompts that end with an out-of-memory error at their first node that computes."""
    worker_dead: bool = False
    """The thread that runs prompts has ended; the port goes on answering."""
    foreign_messages: bool = False
    """Every message is accompanied by a copy for another prompt, twice, and by unknown types of text and binary."""
    shuffled_messages: bool = False
    """`executing` and `progress_state` of a node arrive after those of the next one."""
    refused_sockets: bool = False
    """New websockets are refused."""
    slow: float = 0.0
    """Seconds before every HTTP answer."""
    silent: bool = False
    """HTTP requests are taken and never answered."""

    def spend(self, name: str) -> bool:
        """True if the counted fault is on; counts it."""
        left: int = getattr(self, name)
        if left > 0:
            setattr(self, name, left - 1)
        return left > 0
