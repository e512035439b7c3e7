"""Every random decision of a run, from one seed, so that a report's seed gives the same decisions again.

Nothing here is a shared generator: a draw is a hash of what it is for. Two connections that arrive in the other order
next time do not swap their fates, and a draw more in one place does not move the draws in another.

The hash is BLAKE2b with 8 bytes of digest, of which the upper 53 bits become the float. It is part of what a report
promises: changing it makes old seeds worthless, and a test holds known answers against that.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import TypeVar

T = TypeVar("T")


def decide(seed: int, fault: str, key: str, n: int) -> float:
    """The draw for the `n`-th event of the logical `key` under `fault`.

    Args:
        seed: the root seed of the run.
        fault: which fault asks; two faults of one run draw apart.
        key: what the events are counted by, such as a connection or an endpoint.
        n: the event's ordinal under that key, from 0.

    Returns:
        a float in [0, 1), the same for the same four arguments on every machine. An event is hit when it is below the
        fault's probability, so that 0 never hits and 1 always does.
    """
    # the lengths keep ("a", "bc") and ("ab", "c") apart
    text = f"{seed}|{len(fault)}|{fault}|{len(key)}|{key}|{n}"
    digest = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return (int.from_bytes(digest, "big") >> 11) * 2.0**-53


class Stream:
    """A named sequence of draws, for what happens in one order anyway: generated load, made-up people, tie-breaks.

    Two streams of one seed with different names are independent; a stream can be made again from `seed` and `name`.

    Attributes:
        seed: the root seed of the run.
        name: what the draws are for.
        drawn: how many draws were taken.
    """

    def __init__(self, seed: int, name: str) -> None:
        self.seed = seed
        self.name = name
        self.drawn = 0

    def uniform(self) -> float:
        """The next float in [0, 1)."""
        draw = decide(self.seed, self.name, "stream", self.drawn)
        self.drawn += 1
        return draw

    def below(self, limit: int) -> int:
        """The next whole number from 0 to `limit` - 1; for limits far below 2**53, where no number is preferred.

        Raises:
            ValueError: `limit` is not positive.
        """
        if limit < 1:
            raise ValueError(f"nothing is below {limit}; give a limit of 1 or more")
        return int(self.uniform() * limit)

    def pick(self, options: Sequence[T]) -> T:
        """One of `options`, each as likely.

        Raises:
            ValueError: there is nothing to pick from.
        """
        return options[self.below(len(options))]

    def shuffled(self, items: Sequence[T]) -> list[T]:
        """`items` in a drawn order (Fisher and Yates), each order as likely; `items` itself is left alone."""
        result = list(items)
        for last in range(len(result) - 1, 0, -1):
            other = self.below(last + 1)
            result[last], result[other] = result[other], result[last]
        return result
